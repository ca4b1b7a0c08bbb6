"""`cocon data`: make, check and split training data."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cocon.core.errors import UsageError
from cocon.core.options import Quiet
from cocon.core.printable import printable
from cocon.training.data.preparation.cli import split
from cocon.training.figures.settings import DEFAULT_CLUTTER, FigureSettings, StreetSettings, UntrimmedSettings
from cocon.video.decoding.limits import LIMIT_HELP, MediaLimits

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make, check and split training data.")

_DEFAULTS, _UNTRIMMED_DEFAULTS, _STREET_DEFAULTS = FigureSettings(), UntrimmedSettings(), StreetSettings()
_PURPOSE_HELP = "Calm videos with exact views; or, for encoders that others will use, such as strangers film and get."
_OUTPUT_HELP = "Folder of the data set; default: data/figures, data/untrimmed, or data/street."
_NUM_VIDEOS_HELP = (
    "Half for training, half for testing; for transfer a tenth for testing; "
    f"default: {_DEFAULTS.num_videos}, {_UNTRIMMED_DEFAULTS.num_videos} untrimmed, {_STREET_DEFAULTS.num_videos}."
)
_SECONDS_HELP = (
    "Length of each video, of untrimmed ones and for transfer the most; "
    f"default: {_DEFAULTS.seconds:g}, {_UNTRIMMED_DEFAULTS.seconds:g} untrimmed, {_STREET_DEFAULTS.seconds:g}."
)
_SIZE_HELP = (
    "Short side of the RGB frames in pixels; even; "
    f"default: {_DEFAULTS.size_px}, for transfer {_STREET_DEFAULTS.size_px}."
)
_CLUTTER_HELP = (
    "0: plain still backgrounds; 1: loud, drifting, full of things; for transfer the most; "
    f"default: {DEFAULT_CLUTTER:g}, for transfer {_STREET_DEFAULTS.clutter:g}."
)


@app.callback()
def data() -> None:
    """Make, check and split training data."""


app.command()(split)


@app.command()
def make(
    output: Annotated[Path | None, typer.Option(help=_OUTPUT_HELP)] = None,
    purpose: Annotated[Literal["demo", "transfer"], typer.Option("--for", help=_PURPOSE_HELP)] = "demo",
    untrimmed: Annotated[
        bool, typer.Option("--untrimmed", help="Several actions in each video, and annotations of when.")
    ] = False,
    num_videos: Annotated[int | None, typer.Option("--num-videos", "--videos", help=_NUM_VIDEOS_HELP)] = None,
    seconds: Annotated[float | None, typer.Option(help=_SECONDS_HELP)] = None,
    size: Annotated[int | None, typer.Option(help=_SIZE_HELP)] = None,
    view_size: Annotated[
        int, typer.Option(help="Short side of stored flow and mask in pixels.")
    ] = _DEFAULTS.view_size_px,
    clutter: Annotated[float | None, typer.Option(help=_CLUTTER_HELP)] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = _DEFAULTS.seed,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a set made with other settings.")] = False,
    quiet: Quiet = False,
) -> None:
    """Generate videos of moving figures, with flow, pose and mask; nothing to download.

    Does nothing when the set is complete, goes on when it was interrupted.

    Example: cocon data make --num-videos 48 --output data/small
    """
    if untrimmed and purpose == "transfer":
        raise UsageError("--untrimmed videos are not made --for transfer; leave one of the two away")
    name = "street" if purpose == "transfer" else "untrimmed" if untrimmed else "figures"
    defaults = {"figures": _DEFAULTS, "untrimmed": _UNTRIMMED_DEFAULTS, "street": _STREET_DEFAULTS}[name]
    given = {"num_videos": num_videos, "seconds": seconds, "size_px": size, "clutter": clutter}
    chosen: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    settings = replace(defaults, view_size_px=view_size, seed=seed, **chosen)
    folder = output or Path("data", name)
    from cocon.core.progress import progress_bar
    from cocon.training.figures.figures import make_figures

    with progress_bar("making videos", is_quiet=quiet) as on_progress:
        made = make_figures(folder, settings, workers=workers, overwrite=overwrite, on_progress=on_progress)
    kept = f" ({made.num_videos - made.num_made} were there)" if made.num_made < made.num_videos else ""
    if made.num_made:
        print(f"made {made.num_made} videos in {printable(folder)}{kept}")
    else:
        print(f"{printable(folder)} is complete: {made.num_videos} videos")


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="The dataset folder.", show_default=False)],
    preset: Annotated[
        str | None,
        typer.Option("--preset", "--config", help="Whose clips: a preset's, or a TOML file's.", show_default="figures"),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Pre-training that the preset is for.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    model: Annotated[Path | None, typer.Option(help="Whose clips: those of a run or a model repository.")] = None,
    clip_seconds: Annotated[
        float | None, typer.Option(help="Name videos shorter than this; default: one clip.", min=0.0)
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.", min=1)] = None,
    limit: Annotated[list[str] | None, typer.Option(help=LIMIT_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    row_format: Annotated[
        Literal["table", "json", "jsonl"] | None, typer.Option("--format", help="Form of the rows.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the rows to a file, .json or .jsonl.")] = None,
    quiet: Quiet = False,
) -> None:
    """Decode every video to its end; name broken, truncated, missing, short and doubled ones, and stale views.

    Short is what has no room for a clip, which --preset, --method and --set name as for training, or --model does.
    Exit code 3 if some are broken, truncated or missing; the others are warnings.

    Example: cocon data check videos/ --format jsonl
    """
    from cocon.core.errors import VideoError
    from cocon.core.progress import progress_bar
    from cocon.training.data.check_report import chosen_format, print_problems, summary, write_rows
    from cocon.training.data.preparation.configured import configured_clip
    from cocon.video.making.checking import check_dataset, unused_views
    from cocon.video.output_file import check_output
    from cocon.video.store.dataset import DatasetFolder
    from cocon.video.store.found_videos import warn_of_left_out

    chosen = chosen_format(row_format, output, as_json=as_json)
    clip = configured_clip(preset, method, settings or (), model)
    limits, dataset = MediaLimits.parse(limit or ()), DatasetFolder.open(folder)
    if output is not None:
        check_output(output, dataset.files)
    warn_of_left_out(folder, dataset.left_out)
    if said := dataset.layout.splits or dataset.layout.problem:
        print(printable(said), file=sys.stderr)
    with progress_bar("checking videos", is_quiet=quiet) as on_progress:
        videos = check_dataset(
            dataset,
            clip=clip,
            clip_seconds=clip_seconds,
            limits=limits,
            num_workers=workers,
            on_unusable=on_progress.note_failure,
            on_progress=on_progress,
        )
    if chosen == "table":
        print_problems(videos)
    else:
        write_rows(videos, chosen, output)
    print(summary(folder, videos), file=sys.stdout if chosen == "table" or output else sys.stderr)
    if unused := unused_views(dataset):
        such = printable(unused[0])
        print(f"{len(unused)} stored views belong to none of the videos, such as '{such}'", file=sys.stderr)
    raise typer.Exit(0 if all(video.is_usable for video in videos) else VideoError.exit_code)
