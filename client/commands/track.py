"""The command `client track`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options

if TYPE_CHECKING:
    from cocon.client.tracking.boxes import TrackedFrame
    from cocon.core.progress import OnProgress
    from cocon.embedding.tracking.feature_maps import FeatureMaps

__all__ = ["track"]

_COLUMNS = ("frame", "seconds", "x", "y", "width", "height", "score", "is_lost")
# Smaller targets are hardly followed, see `tracked_boxes`.
_LEAST_CELLS = 2.0


@options.takes_server_options
def track(
    video: Annotated[Path, typer.Argument(help="A video.", show_default=False)],
    box: Annotated[
        str,
        typer.Option(
            "--box", metavar="X,Y,W,H", help="What to follow, in pixels of its first frame.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", help="Video to write: FILE.mp4.", show_default=False)],
    start_seconds: Annotated[
        float, typer.Option("--start-seconds", min=0.0, help="Where the box is, and to begin.")
    ] = 0.0,
    server_options: options.ServerOptions = options.ServerOptions(),
    limit: options.Limits = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Follow a thing that a box marks in one frame: write the video with the box drawn, and print it frame by frame.

    Needs the model of `cocon export --feature-maps`. A box that is drawn dashed is where a lost thing was last seen.

    Example: client track video.mp4 --box 40,30,80,120 --output tracked.mp4
    """
    from cocon.client.tracking.boxes import parse_box, track_box, tracking_model
    from cocon.client.tracking.output import write_film
    from cocon.core.paths import check_file
    from cocon.core.printable import escaped
    from cocon.core.progress import progress_bar
    from cocon.video.decoding.limits import MediaLimits
    from cocon.video.output_file import check_output
    from cocon.video.pictures.pictures import pictures_of_video
    from cocon.video.workers.pool import WorkerPool

    target, limits = parse_box(box), MediaLimits.parse(limit or ())
    check_file(video, "video")
    check_output(output, [video], suffixes=(".mp4",))
    rows: list[dict[str, object]] = []
    notes: list[str] = []
    with (
        tracking_model(
            server_options.url, timeout_s=server_options.timeout_s, credentials=server_options.credentials
        ) as model,
        progress_bar("tracking", unit="frames", is_quiet=quiet) as on_progress,
        WorkerPool(limits) as pool,
    ):
        pictures = pictures_of_video(pool, video, limits, start_seconds=start_seconds)
        write_film(output, _noted(track_box(model, pictures, target), model, rows, notes, on_progress))
        if pictures.lost:
            notes.append(f"pictures of the video are lost: {pictures.lost}")
        facts = {"model": model.name, "version": model.version, "fingerprint": model.contract.fingerprint}
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    _print({"video": escaped(video), "output": escaped(output), **facts}, rows, as_json=as_json)


def _noted(
    frames: "Iterator[TrackedFrame]",
    model: "FeatureMaps",
    rows: list[dict[str, object]],
    notes: list[str],
    on_progress: "OnProgress",
) -> "Iterator[TrackedFrame]":
    """The same frames; a row of each is put into `rows`, and what a user should know into `notes`."""
    from cocon.client.tracking.boxes import box_in_cells

    for frame in frames:
        height, width = frame.pixels.shape[:2]
        if not rows and min(cells := box_in_cells(frame.tracked.box, height, width, model)) < _LEAST_CELLS:
            size = f"{cells[0]:.1f} × {cells[1]:.1f} cells"
            notes.append(f"the box is {size} of the model; less than 2 are hardly followed (export --feature-map-px)")
        rows.append(_row(len(rows), frame))
        on_progress(len(rows), None)
        yield frame


def _row(number: int, frame: "TrackedFrame") -> dict[str, object]:
    x, y, width, height = (round(float(place), 2) for place in frame.tracked.box)
    return {
        "frame": number,
        "seconds": round(frame.seconds, 6),
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "score": round(frame.tracked.score, 4),
        "is_lost": frame.tracked.is_lost,
    }


def _print(facts: dict[str, str], rows: list[dict[str, object]], *, as_json: bool) -> None:
    from cocon.client.output.sinks import print_rows
    from cocon.core.printable import printable
    from cocon.core.texts.json_text import print_json

    if as_json:
        print_json({**facts, "frames": rows})
    else:
        num_lost = sum(bool(row["is_lost"]) for row in rows)
        print_rows(_COLUMNS, rows, title=f"{printable(facts['output'])}: {len(rows)} frames, lost in {num_lost}")
