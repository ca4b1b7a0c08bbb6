"""The command `client index map`."""

from typing import Annotated

import typer

from cocon.client.commands import options
from cocon.client.models.defaults import DEFAULT_INDEX

__all__ = ["mapping_app"]

mapping_app = typer.Typer()


@mapping_app.command("map")
def make_map(
    index: options.IndexName = DEFAULT_INDEX,
    max_clips: Annotated[
        int | None,
        typer.Option("--max-clips", min=1, help="Most clips on it; default: as many as before, or 100,000."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Lay out all clips again, also those that have a place.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Lay out the clips of an index in a plane, what is alike close together, for 'client web' to show.

    It is kept in the index. Clips that came later are placed beside their neighbours; when more than half is new, or
    gone, all are laid out again. That takes a minute or two for 100,000 clips on two cores.

    Example: client index map
    """
    from cocon.client.engines import open_index
    from cocon.core.printable import escaped, printable
    from cocon.core.progress import progress_bar
    from cocon.core.texts.json_text import print_json

    with progress_bar("laying out clips", unit="steps", is_quiet=quiet) as on_progress:
        found, is_new = open_index(index).compute_map(max_clips=max_clips, is_anew=anew, on_progress=on_progress)
    num_placed = int(found.are_placed.sum())
    if as_json:
        facts = {"method": found.method, "num_points": len(found), "num_placed": num_placed, "is_new": is_new}
        print_json({"index": escaped(index), **facts})
    else:
        told = "laid out" if is_new else f"kept, {num_placed} of them placed beside their neighbours"
        typer.echo(f"{printable(index)}: map of {len(found)} clips by {found.method}: {told}")
