"""The command `cocon views preview`."""

from pathlib import Path
from typing import Annotated

import typer

from cocon.core.options import Quiet
from cocon.video.decoding.limits import LIMIT_HELP
from cocon.video.following.rule import FollowedView

__all__ = ["preview"]

_MAX_ROWS = 100


def preview(
    video: Annotated[Path, typer.Argument(help="The video.", show_default=False)],
    output: Annotated[Path, typer.Option(help="FILE.png: some moments; FILE.mp4: all frames.", show_default=False)],
    rows: Annotated[int, typer.Option(min=1, max=_MAX_ROWS, help="Moments on a PNG, spread over the video.")] = 4,
    follow: Annotated[
        FollowedView | None, typer.Option(help="Frame what models that follow people look at.", show_default="no frame")
    ] = None,
    limit: Annotated[list[str] | None, typer.Option(help=LIMIT_HELP)] = None,
    quiet: Quiet = False,
) -> None:
    """Draw the views of a video side by side, to look at.

    Views that are stored beside the video are shown as they are, the others are made.

    Example: cocon views preview video.mp4 --output views.png
    """
    from cocon.core.printable import printable
    from cocon.core.progress import progress_bar
    from cocon.video.decoding.limits import MediaLimits
    from cocon.video.following.rule import Following
    from cocon.video.output_file import check_output
    from cocon.video.preview.sheet import PREVIEW_SUFFIXES, survey_video, write_preview
    from cocon.video.workers.pool import WorkerPool

    limits, following = MediaLimits.parse(limit or ()), None if follow is None else Following(follow)
    check_output(output, [video], suffixes=PREVIEW_SUFFIXES)
    with WorkerPool(limits) as pool:
        with progress_bar("reading", unit="frames", is_quiet=quiet) as on_progress:
            survey = survey_video(pool, video, limits, on_progress=on_progress)
        with progress_bar("drawing", unit="frames", is_quiet=quiet) as on_progress:
            notes = write_preview(pool, survey, output, num_rows=rows, following=following, on_progress=on_progress)
    for note in notes:
        typer.echo(f"warning: {printable(note)}", err=True)
    typer.echo(printable(output))
