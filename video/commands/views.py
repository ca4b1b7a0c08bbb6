"""`cocon views`: make the views of videos, and look at them."""

import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cocon.core.errors import UsageError, VideoError
from cocon.core.options import Quiet, takes_options
from cocon.core.printable import escaped, printable
from cocon.video.commands.preview import preview
from cocon.video.decoding.limits import LIMIT_HELP, MediaLimits
from cocon.video.estimation.flow import FlowAlgorithm, FlowSpec

if TYPE_CHECKING:
    from cocon.video.making.failures import Failure
    from cocon.video.making.recipe import Recipe
    from cocon.video.making.run import MadeViews
    from cocon.video.store.stored_view import Attributes

__all__ = ["app"]

_FLOW = FlowSpec()

app = typer.Typer(no_args_is_help=True, help="Make the views of videos: flow, pose and mask.")


@app.callback()
def views() -> None:
    """Make the views of videos: flow, pose and mask."""


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of `make`."""

    view: Annotated[
        list[str] | None, typer.Option("--view", help="flow, pose, mask; several, or all.", show_default="all")
    ] = None
    workers: Annotated[int | None, typer.Option(help="Videos at a time; default: one per core.", min=1)] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make all views again, and try failed videos again.")
    ] = False
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed videos again.")] = False
    flow_algorithm: Annotated[FlowAlgorithm, typer.Option(help="How flow is estimated.")] = _FLOW.algorithm
    flow_interval_s: Annotated[
        float, typer.Option(help="Flow is measured to the frame so much later.", show_default="1/15")
    ] = _FLOW.interval_seconds
    flow_size_px: Annotated[int, typer.Option(help="Short side of the flow view.")] = _FLOW.size_px
    pose: Annotated[Path | None, typer.Option(help="Your own key points: COCO-17 JSON, one file per video.")] = None
    mask: Annotated[Path | None, typer.Option(help="Your own masks: a video or a folder of PNG per video.")] = None
    flow: Annotated[Path | None, typer.Option(help="Your own flow: .npy, .npz or a folder of JPEG per video.")] = None
    depth: Annotated[Path | None, typer.Option(help="Your own depth: a folder of PNG, .npy or a video per video.")] = (
        None
    )
    depth_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="NEAR FAR", help="Depths that become 0 and 255, in the unit of your files; 8 bits need none."
        ),
    ] = None
    limit: Annotated[list[str] | None, typer.Option(help=LIMIT_HELP)] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a line.")] = False
    quiet: Quiet = False

    def recipe(self) -> "Recipe":
        """What they ask for."""
        from cocon.video.making.recipe import Recipe, made_views_named

        said = self._said()
        wanted = [name.strip() for several in self.view or () for name in several.split(",") if name.strip()]
        try:
            spec = FlowSpec(self.flow_interval_s, self.flow_algorithm, self.flow_size_px)
        except ValueError as error:
            raise UsageError(str(error)) from error
        own = {"flow": self.flow, "pose": self.pose, "mask": self.mask, "depth": self.depth}
        given = {view: path for view, path in own.items() if path}
        return Recipe(made_views_named(wanted, given), spec, given, said, MediaLimits.parse(self.limit or ()))

    def _said(self) -> dict[str, "Attributes"]:
        """View → what the user says of their own, by the names under which it is recorded."""
        if self.depth_range is None:
            return {}
        if self.depth is None:
            raise UsageError("--depth-range is given without --depth FOLDER, whose values it is about")
        near, far = self.depth_range
        if not (math.isfinite(near) and near < far < math.inf):
            raise UsageError(f"--depth-range {near:g} {far:g}: the near end must be less than the far end")
        return {"depth": {"depth_near": near, "depth_far": far}}


@app.command()
@takes_options(_Options)
def make(
    folder: Annotated[Path, typer.Argument(help="The dataset folder.", show_default=False)],
    options: _Options = _Options(),
) -> None:
    """Make the views of every video of a dataset and store them beside it.

    What is there, from the same video and by the same recipe, is kept; an interrupted run goes on. Videos that fail are
    listed in FOLDER/views/failures.jsonl and not tried again as long as they are the same; exit code 3.

    Example: cocon views make videos/ --view flow --view pose
    """
    from cocon.core.progress import progress_bar
    from cocon.video.making.run import make_views
    from cocon.video.store.dataset import DatasetFolder
    from cocon.video.store.found_videos import warn_of_left_out

    recipe, dataset = options.recipe(), DatasetFolder.open(folder)
    warn_of_left_out(folder, dataset.left_out)
    with progress_bar("making views", is_quiet=options.quiet) as on_progress:

        def on_failure(failure: "Failure") -> None:
            on_progress.note_failure()
            _print_failure(failure)

        made = make_views(
            dataset,
            recipe,
            overwrite=options.overwrite,
            retry_failed=options.retry_failed,
            num_workers=options.workers,
            on_failure=on_failure,
            on_progress=on_progress,
        )
    _end(folder, made, as_json=options.as_json)


def _end(folder: Path, made: "MadeViews", *, as_json: bool) -> NoReturn:
    print(json.dumps({"folder": escaped(folder), **asdict(made)}) if as_json else printable(_summary(folder, made)))
    if made.num_failed_before:
        print(f"{made.num_failed_before} failed before; --retry-failed tries again", file=sys.stderr)
    raise typer.Exit(VideoError.exit_code if made.num_failed + made.num_failed_before else 0)


app.command()(preview)


def _print_failure(failure: "Failure") -> None:
    print(printable(f"failed: {failure.video}: {failure.message}"), file=sys.stderr)


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
