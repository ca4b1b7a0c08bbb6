"""The commands `client index add`, `list`, `remove` and `prune`."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options
from cocon.client.commands.bulk_options import BulkOptions, takes_bulk_options
from cocon.client.commands.filter_options import FilterOptions, takes_filter_options
from cocon.client.commands.remote_options import RemoteOptions, takes_remote_options
from cocon.client.models.defaults import DEFAULT_INDEX

if TYPE_CHECKING:
    from cocon.client.index.changes.outcomes import Outcome

__all__ = ["videos_app"]

videos_app = typer.Typer()

_logger = logging.getLogger(__name__)

_FAILURE_COLUMNS: tuple[str, ...] = ("video", "class", "message")
_VIDEO_COLUMNS: tuple[str, ...] = ("video", "label", "num_clips", "duration_seconds")


@videos_app.command()
@options.takes_embedder_options
@takes_bulk_options
@takes_remote_options
def add(
    videos: options.Videos,
    index: options.IndexName = DEFAULT_INDEX,
    embedder_options: options.EmbedderOptions = options.EmbedderOptions(),
    bulk_options: BulkOptions = BulkOptions(),
    remote_options: RemoteOptions = RemoteOptions(),
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    wait_s: options.WaitS = 0.0,
    as_json: options.AsJson = False,
    failures: options.Failures = Path("failures.jsonl"),
    quiet: options.Quiet = False,
) -> None:
    """Embed videos and make them searchable; what is there already is not embedded again, wherever it was before.

    Labels are those of a manifest, or the sub-folders of the folder that is named. What failed before is tried again
    when the file, the options or the version of cocon are others. Without anything to embed no server is asked.

    Example: client index add videos/
    """
    from cocon.client.commands.inputs import named_folders
    from cocon.client.engines import open_index
    from cocon.core.printable import escaped, printable

    opened = open_index(index)
    views = opened.facts.views if opened.exists else None
    remote_options.check(by_ray=bulk_options.by_ray)
    run = embedder_options.run_when_needed(
        videos, failures, quiet=quiet, default_views=views, is_name=remote_options.is_name
    )
    with run as (settings, paths, report), remote_options.files(paths, settings.limits) as (names, files):

        def on_outcome(outcome: "Outcome") -> None:
            report.note_empty(outcome.video, outcome.empty_views)
            report.note(outcome.failure, failed_before=outcome.failed_before, num_clips=outcome.num_clips)

        done = opened.add(
            names,
            bulk_options.settings(settings, index) if files is None else remote_options.settings(settings, files),
            folders=named_folders(videos),
            retry_failed=retry_failed,
            wait_s=wait_s,
            on_outcome=on_outcome,
            on_lists=report.part("making lists", unit="rows"),
            elsewhere=files,
        )
        bulk_options.forget_shards(index)
        counts = {name: getattr(done, name) for name in ("added", "updated", "unchanged", "duplicate")}
        counts["failed"] = len(done.failures)
        if as_json:
            typer.echo(json.dumps({"index": escaped(index), **counts}))
        else:
            always = ("added", "unchanged", "failed")
            told = (f"{count} {name}" for name, count in counts.items() if count or name in always)
            typer.echo(f"{printable(index)}: {', '.join(told)}")


@videos_app.command("list")
@takes_filter_options
def list_videos(
    index: options.IndexName = DEFAULT_INDEX,
    filter_options: FilterOptions = FilterOptions(),
    top: Annotated[int | None, typer.Option("--top", min=1, help="Most videos; default: all.")] = None,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Videos left out before them.")] = 0,
    failed: Annotated[bool, typer.Option("--failed", help="The files that could not be embedded, and why.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the videos of an index, all or those that filters choose; or what failed.

    Example: client index list --label jump --json
    """
    from cocon.client.engines import open_index
    from cocon.client.index.query.filters import NO_FILTERS
    from cocon.client.output.sinks import open_sink
    from cocon.core.errors import UsageError

    opened, filters = open_index(index), filter_options.filters
    if failed and (filters, top, offset) != (NO_FILTERS, None, 0):
        raise UsageError("--failed lists all files that failed; leave out filters, --top and --offset")
    if failed:
        columns = _FAILURE_COLUMNS
        rows = [failure.row() if as_json else failure.table_row() for failure in opened.failures()]
    else:
        columns, rows = _VIDEO_COLUMNS, [video.row() for video in opened.videos(filters, top=top, offset=offset)]
    with open_sink("json" if as_json else "table", None, columns=columns) as sink:
        sink.write(rows)


@videos_app.command("set")
def set_values(
    video: Annotated[str, typer.Argument(help="A video of the index, a folder, or id:12.", show_default=False)],
    values: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="KEY= takes it away.", show_default=False)
    ],
    index: options.IndexName = DEFAULT_INDEX,
    wait_s: options.WaitS = 0.0,
    as_json: options.AsJson = False,
) -> None:
    """Set metadata of videos, for --where of search, list and remove; label=NAME sets the label.

    Columns of a manifest are set by add.

    Example: client index set videos/a.mp4 take=3 camera=left
    """
    from cocon.client.engines import open_index
    from cocon.client.index.query.conditions import named_values
    from cocon.core.printable import escaped, printable

    named = named_values(values)
    label = str(named.pop("label") or "") if "label" in named else None
    changed = open_index(index).describe([video], named, label=label, wait_s=wait_s)
    if as_json:
        typer.echo(json.dumps({"index": escaped(index), "set": [escaped(path) for path in changed]}))
    else:
        typer.echo(f"{printable(index)}: {len(changed)} set")


@videos_app.command()
@takes_filter_options
def remove(
    videos: Annotated[
        list[str] | None, typer.Argument(help="Videos or folders of the index, or id:12.", show_default=False)
    ] = None,
    index: options.IndexName = DEFAULT_INDEX,
    filter_options: FilterOptions = FilterOptions(),
    wait_s: options.WaitS = 0.0,
    as_json: options.AsJson = False,
) -> None:
    """Forget videos; the files themselves stay. A video is named by its path, or as 'client index list' prints it.

    What 'client index list' shows by filters, they remove, of the videos that are named if there are any.

    Example: client index remove videos/old.mp4
    """
    from cocon.client.engines import open_index
    from cocon.core.printable import escaped, printable

    removed = open_index(index).remove(videos or (), filters=filter_options.filters, wait_s=wait_s)
    if as_json:
        typer.echo(json.dumps({"index": escaped(index), "removed": [escaped(video) for video in removed]}))
    else:
        typer.echo(f"{printable(index)}: {len(removed)} removed")


@videos_app.command()
def prune(
    folders: Annotated[
        list[str] | None, typer.Argument(help="Where to look; default: everywhere.", show_default=False)
    ] = None,
    index: options.IndexName = DEFAULT_INDEX,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be forgotten, and change nothing.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Also where a folder is gone as a whole, or empty, as when no disk is mounted."),
    ] = False,
    wait_s: options.WaitS = 0.0,
    as_json: options.AsJson = False,
) -> None:
    """Forget videos whose files are gone.

    Example: client index prune --dry-run
    """
    from cocon.client.engines import open_index
    from cocon.core.printable import escaped, printable

    opened = open_index(index)
    if dry_run:
        gone, doubts = opened.gone(folders or ())
        for sentence in () if yes else doubts:
            _logger.warning("%s; only --yes forgets them", sentence)
    else:
        gone = opened.prune(folders or (), even_unmounted=yes, wait_s=wait_s)
    if as_json:
        named = {"gone" if dry_run else "pruned": [escaped(video) for video in gone]}
        typer.echo(json.dumps({"index": escaped(index), **named}))
        return
    for video in gone if dry_run else ():
        typer.echo(printable(escaped(video)))
    typer.echo(f"{printable(index)}: {len(gone)} {'gone' if dry_run else 'pruned'}")
