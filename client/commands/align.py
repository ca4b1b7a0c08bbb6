"""The command `client align`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options
from cocon.core.options import takes_options

if TYPE_CHECKING:
    from cocon.client.aligning.spans import Alignment
    from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["align"]

# What moments are told apart by, see docs/alignment.md.
_DEFAULT_OVERLAP = 0.9

_COLUMNS = ("start_seconds_a", "end_seconds_a", "start_seconds_b", "end_seconds_b", "similarity")


@dataclass(frozen=True, slots=True)
class _Options(options.EmbedderOptions):
    """Those of all that embed; clips overlap, since moments are to be told apart."""

    overlap: options.Overlap = _DEFAULT_OVERLAP


@takes_options(_Options)
def align(
    first: Annotated[Path, typer.Argument(metavar="A", help="A video.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="The video to align with it.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", help="Picture to write: FILE.png.", show_default=False)],
    embedder_options: _Options = _Options(),
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Align two videos in time: draw how alike their moments are, and print which part of A goes with which of B.

    Overlapping clips give shorter steps in time and take up to T times as long, for blocks of T frames: --overlap 0 is
    enough for videos of many minutes.

    Example: client align a.mp4 b.mp4 --view all --output aligned.png
    """
    from cocon.client.aligning.picture import write_picture
    from cocon.client.aligning.spans import align_videos
    from cocon.core.printable import printable
    from cocon.core.progress import progress_bar
    from cocon.video.output_file import check_output

    check_output(output, [first, second], suffixes=(".png",))
    with progress_bar("aligning", is_quiet=quiet) as on_progress:
        with embedder_options.open() as embedder:
            model = embedder.model
            alignment = align_videos(embedder, first, second, on_progress=on_progress)
        write_picture(alignment, output, model.view, embedder_options.limits)
    for track in (alignment.first, alignment.second):
        if track.num_merged > 1:
            merged = f"{printable(track.video)}: {track.num_merged} neighbouring blocks count as one"
            faster = "; --overlap 0 is faster" if embedder_options.overlap else ""
            typer.echo(f"note: {merged}{faster}", err=True)
    _print(alignment, model, as_json=as_json)


def _print(alignment: "Alignment", model: "FusedModel", *, as_json: bool) -> None:
    from cocon.client.output.sinks import print_rows
    from cocon.core.printable import escaped
    from cocon.core.texts.json_text import print_json

    rows = [span.row() for span in alignment.spans]
    if not as_json:
        print_rows(_COLUMNS, rows, title=f"mean cosine along the path: {alignment.score:.3f}")
        return
    found = {
        "video_a": escaped(alignment.first.video),
        "video_b": escaped(alignment.second.video),
        "views": list(model.models),
        "model": model.name,
        "version": model.version,
        "fingerprint": model.fingerprint,
        "score": round(alignment.score, 6),
        "spans": rows,
    }
    print_json(found)
