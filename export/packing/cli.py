"""`cocon pack`: a run small enough to ship."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def pack(
    output: Annotated[Path, typer.Option(help="Folder to write; appears whole or not at all.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Complete run, as `cocon train` leaves it.")] = Path("runs/default"),
    license: Annotated[str | None, typer.Option(help="SPDX identifier of the weights' licence, in lower case.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what was packed there before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a run in half precision, with a model card and checksums, without paths of this machine.

    Whatever takes a run takes the result: `cocon export`, `cocon evaluate`, `cocon train --init-from`. It is compared
    with the run; if it gives other vectors, nothing is written (exit code 6).

    Example: cocon pack --run runs/default --output pretrained/mine --license apache-2.0
    """
    from cocon.core.printable import printable
    from cocon.core.tables import plain_console
    from cocon.export.packing.pack import pack_run

    console = plain_console()
    with console.status("reading the run") as status:
        on_progress = status.update if console.is_terminal else console.print
        packed = pack_run(run, output, license=license, overwrite=overwrite, on_progress=on_progress)
    if as_json:
        typer.echo(json.dumps({"output": str(output), **asdict(packed)}))
    else:
        views, size = ", ".join(packed.views), f"{packed.num_bytes / 1e6:.1f} MB"
        typer.echo(f"packed {views} of {printable(run)} in {printable(output)}: {size}, cosine {packed.min_cosine:.6f}")
