"""`cocon views`: make the views of videos, and look at them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.video.preview_cli import preview

if TYPE_CHECKING:
    from cocon.video.failures import Failure
    from cocon.video.making import MadeViews

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make the views of videos: flow, pose and mask.")


@app.callback()
def views() -> None:
    """Make the views of videos: flow, pose and mask."""


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(help="The dataset folder.", show_default=False)],
    view: Annotated[
        list[str] | None, typer.Option(help="flow, pose, mask; several, or all.", show_default="all")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Videos at a time; default: one per core.", min=1)] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make all views again, and try failed videos again.")
    ] = False,
    flow_algorithm: Annotated[Literal["dis", "tvl1", "farneback"], typer.Option(help="How flow is estimated.")] = "dis",
    flow_interval_s: Annotated[
        float, typer.Option(help="Flow is measured to the frame so much later.", show_default="1/15")
    ] = 1 / 15,
    flow_size_px: Annotated[int, typer.Option(help="Short side of the flow view.")] = 128,
    pose: Annotated[Path | None, typer.Option(help="Your own key points: COCO-17 JSON, one file per video.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Your own masks: a video or a folder of PNG per video.")] = None,
    flow: Annotated[Path | None, typer.Option(help="Your own flow: .npy, .npz or a folder of JPEG per video.")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="NAME=NUMBER: max_bytes, max_seconds, max_pixels, max_frames, frame_timeout_s."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a line.")] = False,
) -> None:
    """Make the views of every video of a dataset and store them beside it.

    What is there, from the same video and by the same recipe, is kept; an interrupted run goes on. Videos that fail are
    listed in FOLDER/views/failures.jsonl and not tried again as long as they are the same; exit code 3.

    Example: cocon views make videos/ --view flow --view pose
    """
    import json
    from dataclasses import asdict

    from cocon.video.errors import UsageError, VideoError
    from cocon.video.flow import FlowSpec
    from cocon.video.folder import DatasetFolder
    from cocon.video.limits import MediaLimits
    from cocon.video.making import make_views
    from cocon.video.progress import progress_bar
    from cocon.video.recipe import Recipe, made_views_named

    own = {"flow": flow, "pose": pose, "mask": mask}
    named = [name.strip() for names in view or () for name in names.split(",") if name.strip()]
    try:
        spec = FlowSpec(flow_interval_s, flow_algorithm, flow_size_px)
    except ValueError as error:
        raise UsageError(str(error)) from error
    recipe = Recipe(
        made_views_named(named),
        spec,
        {name: path for name, path in own.items() if path},
        MediaLimits.parse(limit or ()),
    )
    dataset = DatasetFolder.open(folder)
    with progress_bar("making views") as on_progress:
        made = make_views(
            dataset,
            recipe,
            overwrite=overwrite,
            num_workers=workers,
            on_failure=_print_failure,
            on_progress=on_progress,
        )
    print(json.dumps({"folder": str(folder), **asdict(made)}) if as_json else _summary(folder, made))
    if made.num_failed_before:
        print(f"{made.num_failed_before} failed before; --overwrite tries again", file=sys.stderr)
    raise typer.Exit(VideoError.exit_code if made.num_failed + made.num_failed_before else 0)


app.command()(preview)


def _print_failure(failure: "Failure") -> None:
    print(f"failed: {failure.video}: {failure.message}", file=sys.stderr)


def _summary(folder: Path, made: "MadeViews") -> str:
    num_failed = made.num_failed + made.num_failed_before
    num_videos = made.num_made + made.num_there + num_failed
    text = f"views of {num_videos} videos in {folder}: {made.num_made} made, {made.num_there} were there"
    text += f", {num_failed} failed"
    if made.num_truncated:
        text += f"; {made.num_truncated} are truncated and have the views of what decodes"
    if made.num_nobody_found:
        text += f"; nobody was found in {made.num_nobody_found}"
    return text
