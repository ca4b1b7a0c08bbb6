"""The commands `client index verify`, `stats`, ...: what keeps an index well."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options
from cocon.client.commands.filter_options import FilterOptions, takes_filter_options
from cocon.client.models.defaults import DEFAULT_INDEX

if TYPE_CHECKING:
    from cocon.client.index.upkeep.figures import IndexStatistics
    from cocon.client.index.upkeep.findings import Finding, Verification

__all__ = ["upkeep_app"]

upkeep_app = typer.Typer()

# More are in --json.
_MAX_PRINTED = 50


@upkeep_app.command()
def verify(
    index: options.IndexName = DEFAULT_INDEX, as_json: options.AsJson = False, quiet: options.Quiet = False
) -> None:
    """Read all of an index and say what is damaged; nothing is written. Exit code 5 if something is.

    Example: client index verify --json
    """
    from cocon.client.engines import open_index
    from cocon.core.errors import MismatchError
    from cocon.core.printable import escaped
    from cocon.core.progress import progress_bar
    from cocon.core.texts.json_text import print_json

    with progress_bar("verifying", unit="rows", is_quiet=quiet) as on_progress:
        found = open_index(index).verify(on_progress=on_progress)
    if as_json:
        print_json({"index": escaped(index), **found.row()})
    else:
        _print_verification(index, found)
    if not found.is_sound:
        raise typer.Exit(MismatchError.exit_code)


@upkeep_app.command()
def stats(index: options.IndexName = DEFAULT_INDEX, as_json: options.AsJson = False) -> None:
    """Say what an index consists of, and how large it is; no server is asked.

    Example: client index stats
    """
    from cocon.client.engines import open_index
    from cocon.core.printable import escaped
    from cocon.core.texts.json_text import print_json

    found = open_index(index).statistics()
    if as_json:
        print_json({"index": escaped(index), **found.row()})
    else:
        _print_statistics(found)


@upkeep_app.command()
def rebuild(
    index: options.IndexName = DEFAULT_INDEX,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    wait_s: options.WaitS = 0.0,
) -> None:
    """Keep what is sound of a damaged index, and list the videos that are to be added again: exit code 3.

    Example: client index rebuild
    """
    from cocon.client.engines import open_index
    from cocon.core.errors import VideoError
    from cocon.core.printable import escaped, printable
    from cocon.core.progress import progress_bar
    from cocon.core.texts.json_text import print_json

    with progress_bar("rebuilding", unit="rows", is_quiet=quiet) as on_progress:
        done = open_index(index).rebuild(wait_s=wait_s, on_progress=on_progress)
    if as_json:
        print_json({"index": escaped(index), **done.row()})
    else:
        _print_findings(done.findings)
        for path in done.dropped:
            typer.echo(f"dropped: {printable(escaped(path))}")
        told = "; 'client index add' brings back what is dropped" if not done.is_complete else ""
        typer.echo(f"{printable(index)}: {done.num_videos} videos kept, {len(done.dropped)} dropped{told}")
    if not done.is_complete:
        raise typer.Exit(VideoError.exit_code)


@upkeep_app.command()
def compact(
    index: options.IndexName = DEFAULT_INDEX,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    wait_s: options.WaitS = 0.0,
) -> None:
    """Give back the room of videos that were removed; searches go on meanwhile.

    Example: client index compact
    """
    from dataclasses import asdict

    from cocon.client.engines import open_index
    from cocon.core.printable import escaped, printable
    from cocon.core.progress import progress_bar

    with progress_bar("compacting", unit="rows", is_quiet=quiet) as on_progress:
        done = open_index(index).compact(wait_s=wait_s, on_progress=on_progress)
    sizes = f"{done.bytes_before} bytes before, {done.bytes_after} now"
    told = f"{printable(index)}: {done.num_dropped} rows dropped, {done.num_clips} kept; {sizes}"
    _print_done({"index": escaped(index), **asdict(done)}, told, as_json=as_json)


@upkeep_app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, which will be an index by itself.", show_default=False)],
    index: options.IndexName = DEFAULT_INDEX,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Copy an index as it is now into a new folder; adding and searching go on meanwhile.

    Example: client index backup /backups/monday
    """
    from dataclasses import asdict

    from cocon.client.engines import open_index
    from cocon.core.printable import escaped, printable
    from cocon.core.progress import progress_bar

    with progress_bar("copying", unit="rows", is_quiet=quiet) as on_progress:
        done = open_index(index).backup(folder, on_progress=on_progress)
    told = f"{printable(folder)}: {done.num_videos} videos, {done.num_clips} clips, {done.total_bytes} bytes"
    _print_done({"index": escaped(index), "backup": escaped(folder), **asdict(done)}, told, as_json=as_json)


@upkeep_app.command()
@takes_filter_options
def export(
    file: Annotated[Path, typer.Argument(help="FILE.parquet to write.", show_default=False)],
    index: options.IndexName = DEFAULT_INDEX,
    filter_options: FilterOptions = FilterOptions(),
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write an index, or the videos that filters choose, as one Parquet file: a row per clip, vectors included.

    Example: client index export jumps.parquet --label jump
    """
    from dataclasses import asdict

    from cocon.client.engines import files_of, open_index
    from cocon.core.atomic import is_stream
    from cocon.core.printable import escaped, printable
    from cocon.core.progress import progress_bar
    from cocon.core.texts.json_text import print_json
    from cocon.video.output_file import check_output

    opened = open_index(index)
    opened.check_exists()
    check_output(file, files_of(index), suffixes=(".parquet",), option="export")
    with progress_bar("exporting", unit="clips", is_quiet=quiet) as on_progress:
        done = opened.export(file, filter_options.filters, on_progress=on_progress)
    if as_json and not is_stream(file):
        print_json({"index": escaped(index), "file": escaped(file), **asdict(done)})
    else:  # what goes to standard output is not to be mixed with words
        typer.echo(f"{printable(file)}: {done.num_videos} videos, {done.num_clips} clips", err=is_stream(file))


@upkeep_app.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="Of 'client index export' or 'client embed', or a folder of them.", show_default=False),
    ],
    index: options.IndexName = DEFAULT_INDEX,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    wait_s: options.WaitS = 0.0,
) -> None:
    """Bring the clips of files into an index, which is made if need be; what is there already is left out.

    Example: client index import videos.parquet
    """
    from dataclasses import asdict

    from cocon.client.engines import open_index
    from cocon.core.printable import escaped, printable
    from cocon.core.progress import progress_bar

    with progress_bar("importing, clips read and stored", unit="clips", is_quiet=quiet) as on_progress:
        done = open_index(index).import_file(file, wait_s=wait_s, on_progress=on_progress)
    counts = f"{done.added} added ({done.num_clips} clips), {done.updated} updated, {done.unchanged} unchanged"
    _print_done({"index": escaped(index), **asdict(done)}, f"{printable(index)}: {counts}", as_json=as_json)


@upkeep_app.command()
def copy(
    source: Annotated[
        str, typer.Argument(parser=options.named_index, metavar="A", help="An index.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(parser=options.named_index, metavar="B", help="Another one, or a new one.", show_default=False),
    ],
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    wait_s: options.WaitS = 0.0,
) -> None:
    """Bring the videos of an index into another one, each in a folder or in Milvus; what is there already is left out.

    Example: client index copy index milvus://127.0.0.1:19530/videos
    """
    from dataclasses import asdict

    from cocon.client.engines import open_index
    from cocon.client.index.exchange.copying import copy_index
    from cocon.core.printable import escaped, printable
    from cocon.core.progress import progress_bar

    opened, other = open_index(source), open_index(target)
    with progress_bar("copying", unit="clips", is_quiet=quiet) as on_progress:
        done = copy_index(opened, other, wait_s=wait_s, on_progress=on_progress)
    counts = f"{done.added} added ({done.num_clips} clips), {done.updated} updated, {done.unchanged} unchanged"
    facts = {"source": escaped(source), "index": escaped(target), **asdict(done)}
    _print_done(facts, f"{printable(target)}: {counts}", as_json=as_json)


def _print_done(facts: dict[str, object], told: str, *, as_json: bool) -> None:
    """What was done: its facts as JSON, or a line for people."""
    from cocon.core.texts.json_text import print_json

    if as_json:
        print_json(facts)
    else:
        typer.echo(told)


def _print_findings(findings: "tuple[Finding, ...]") -> None:
    for finding in findings[:_MAX_PRINTED]:
        typer.echo(f"{'damaged' if finding.is_error else 'note'}: {finding.file}: {finding.message}")
    if len(findings) > _MAX_PRINTED:
        typer.echo(f"... and {len(findings) - _MAX_PRINTED} more; see --json")


def _print_verification(index: str, found: "Verification") -> None:
    from cocon.core.printable import printable

    _print_findings(found.findings)
    figures = f"{found.num_videos} videos at {found.num_places} places, {found.num_clips} clips"
    if found.is_sound:
        typer.echo(f"{printable(index)}: sound: {figures}, {found.total_rows} rows")
    else:
        count = sum(finding.is_error for finding in found.findings)
        typer.echo(
            f"{printable(index)}: DAMAGED ({count} finding{'s' if count > 1 else ''}): {figures} can be read; "
            "'client index rebuild' keeps what is sound"
        )


def _print_statistics(found: "IndexStatistics") -> None:
    from cocon.core.tables import cell, new_table, print_table

    table = new_table("index", "")
    for name, value in found.row().items():
        if name in ("file_bytes", "lists"):
            continue
        match value:
            case tuple():
                value = ", ".join(map(str, value))
            case dict():  # counts and lists in it are for programs
                value = ", ".join(f"{key} {of}" for key, of in value.items() if not isinstance(of, dict | list))
        table.add_row(name, "-" if value in (None, "") else cell(value))
    for name, size in found.file_bytes.items():
        table.add_row(f"bytes of {name}", str(size))
    print_table(table)
