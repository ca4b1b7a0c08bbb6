"""`cocon views`: make the views of videos, and look at them."""

import json
import math
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from cocon.core.errors import UsageError, VideoError
from cocon.core.options import Quiet, takes_options
from cocon.core.printable import escaped, printable
from cocon.video.commands.preview import preview
from cocon.video.decoding.limits import LIMIT_HELP, MediaLimits
from cocon.video.estimation.flow import FlowAlgorithm, FlowSpec
from cocon.video.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cocon.video.making.failures import Failure
    from cocon.video.making.recipe import Recipe
    from cocon.video.making.run import MadeViews
    from cocon.video.store.stored_view import Attributes

__all__ = ["app"]

_FLOW = FlowSpec()
_NUM_NAMED = 5  # --json names all
_OR_PRESET = ", or the preset's"

app = typer.Typer(no_args_is_help=True, help="Make the views of videos: flow, pose and mask.")


@app.callback()
def views() -> None:
    """Make the views of videos: flow, pose and mask."""


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of `make`."""

    view: Annotated[
        list[str] | None,
        typer.Option("--view", help="flow, pose, mask; several, or all.", show_default="all, or the preset's"),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option("--preset", "--config", help="Make what a preset, or a TOML file, will be trained on."),
    ] = None
    method: Annotated[str | None, typer.Option(help="Pre-training that the preset is for.")] = None
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None
    model: Annotated[Path | None, typer.Option(help="Make what a run or a model repository sees.")] = None
    workers: Annotated[int | None, typer.Option(help="Videos at a time; default: one per core.", min=1)] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make all views again, and try failed videos again.")
    ] = False
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed videos again.")] = False
    flow_algorithm: Annotated[
        FlowAlgorithm | None, typer.Option(help="How flow is estimated.", show_default=f"{_FLOW.algorithm}{_OR_PRESET}")
    ] = None
    flow_interval_s: Annotated[
        float | None,
        typer.Option(help="Flow is measured to the frame so much later.", show_default=f"1/15{_OR_PRESET}"),
    ] = None
    flow_size_px: Annotated[
        int | None, typer.Option(help="Short side of the flow view.", show_default=f"{_FLOW.size_px}{_OR_PRESET}")
    ] = None
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

        said, configured = self._said(), self._configured()
        own = {"flow": self.flow, "pose": self.pose, "mask": self.mask, "depth": self.depth}
        given = {view: path for view, path in own.items() if path}
        views = made_views_named(self._wanted(configured), given)
        return Recipe(views, self._flow_spec(configured), given, said, MediaLimits.parse(self.limit or ()))

    def _wanted(self, configured: "Mapping[str, FlowSpec | None]") -> list[str]:
        """Views by name: those of `--view`, else those of the preset or model; empty for all."""
        named = [name.strip() for several in self.view or () for name in several.split(",") if name.strip()]
        if named or not configured:
            return named
        if not (wanted := [view for view in configured if VIEWS[view].is_stored]):
            raise UsageError(
                f"{', '.join(configured)} is all that it takes, which is decoded: there is nothing to make"
            )
        return wanted

    def _configured(self) -> "Mapping[str, FlowSpec | None]":
        """View → what it measures, of the preset or model that was named; empty where none was."""
        if not (self.preset or self.model or self.method or self.settings):
            return {}
        from cocon.video.making.configured import views_of_configuration

        return views_of_configuration(self.preset, self.method, self.settings or (), self.model)

    def _flow_spec(self, configured: "Mapping[str, FlowSpec | None]") -> FlowSpec:
        """What flow measures: as the options say, else as configured, else the default."""
        told: dict[str, Any] = {
            "interval_seconds": self.flow_interval_s,
            "algorithm": self.flow_algorithm,
            "size_px": self.flow_size_px,
        }
        changes = {name: value for name, value in told.items() if value is not None}
        try:
            return replace(configured.get("flow") or _FLOW, **changes)
        except ValueError as error:
            raise UsageError(str(error)) from error

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

    --preset makes the views that training takes, and flow of the size that it wants; --model those of a trained model.
    What is there, from the same video and by the same recipe, is kept; an interrupted run goes on. Videos that fail are
    listed in FOLDER/views/failures.jsonl and not tried again as long as they are the same; exit code 3.

    Example: cocon views make videos/ --preset demo
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
    if as_json:
        names = {"num_nobody_found": len(made.nobody_found), "nobody_found": list(map(escaped, made.nobody_found))}
        print(json.dumps({"folder": escaped(folder), **asdict(made), **names}))
    else:
        print(_summary(folder, made))
    if made.num_failed_before:
        print(f"{made.num_failed_before} failed before; --retry-failed tries again", file=sys.stderr)
    raise typer.Exit(VideoError.exit_code if made.num_failed + made.num_failed_before else 0)


app.command()(preview)


def _print_failure(failure: "Failure") -> None:
    print(printable(f"failed: {failure.video}: {failure.message}"), file=sys.stderr)


def _summary(folder: Path, made: "MadeViews") -> str:
    num_failed = made.num_failed + made.num_failed_before
    num_videos = made.num_made + made.num_there + num_failed
    text = f"views of {num_videos} videos in {printable(folder)}: {made.num_made} made, {made.num_there} were there"
    text += f", {num_failed} failed"
    if made.num_truncated:
        text += f"; {made.num_truncated} are truncated and have the views of what decodes"
    if count := len(made.nobody_found):
        named = ", ".join(f"'{printable(video)}'" for video in made.nobody_found[:_NUM_NAMED])
        more = f" and {count - _NUM_NAMED} more" if count > _NUM_NAMED else ""
        text += f"; nobody was found in {count}: {named}{more}"
    return text
