"""`cocon data`: make and check training data."""

from pathlib import Path
from typing import Annotated

import typer

from cocon.training.data.settings import DEFAULT_CLUTTER, FigureSettings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make and check training data.")

_DEFAULTS = FigureSettings()


@app.callback()
def data() -> None:
    """Make and check training data."""


@app.command()
def make(
    output: Annotated[Path, typer.Option(help="Folder of the data set.")] = Path("data/figures"),
    num_videos: Annotated[int, typer.Option(help="Half for training, half for testing.")] = _DEFAULTS.num_videos,
    seconds: Annotated[float, typer.Option(help="Length of each video.")] = _DEFAULTS.seconds,
    size: Annotated[int, typer.Option(help="Side of the RGB frames in pixels; even.")] = _DEFAULTS.size_px,
    view_size: Annotated[int, typer.Option(help="Side of stored flow and mask in pixels.")] = _DEFAULTS.view_size_px,
    clutter: Annotated[
        float, typer.Option(help="0: plain still backgrounds; 1: loud, drifting, full of things.")
    ] = DEFAULT_CLUTTER,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = _DEFAULTS.seed,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a set made with other settings.")] = False,
) -> None:
    """Generate videos of moving figures, with exact flow, pose and mask; nothing to download.

    Does nothing when the set is complete, goes on when it was interrupted.

    Example: cocon data make --num-videos 48 --output data/small
    """
    settings = FigureSettings(num_videos, seconds, size, view_size, clutter, seed)
    from cocon.training.data.figures import make_figures
    from cocon.video.progress import progress_bar

    with progress_bar("making videos") as on_progress:
        made = make_figures(output, settings, workers=workers, overwrite=overwrite, on_progress=on_progress)
    kept = f" ({made.num_videos - made.num_made} were there)" if made.num_made < made.num_videos else ""
    if made.num_made:
        print(f"made {made.num_made} videos in {output}{kept}")
    else:
        print(f"{output} is complete: {made.num_videos} videos")
