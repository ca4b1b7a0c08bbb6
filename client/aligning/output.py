"""Writing the picture of an alignment: stills are decoded in worker processes, the file appears whole."""

from pathlib import Path

from cocon.client.aligning.align import Alignment
from cocon.client.aligning.axes import STILL_PX
from cocon.client.aligning.picture import AlignmentSheet
from cocon.video.decoding.limits import MediaLimits
from cocon.video.pictures.encode import write_png
from cocon.video.pictures.output_file import output_file
from cocon.video.pictures.stills import stills_at
from cocon.video.workers.pool import WorkerPool

__all__ = ["write_picture"]


def write_picture(alignment: Alignment, output: Path, view: str, limits: MediaLimits | None = None) -> None:
    """Draw an alignment into a PNG file.

    Args:
        alignment: Of two videos that are still there.
        output: The file; an old one is replaced.
        view: What was compared, for the line below the title.
        limits: How much of the videos is read before they are refused.

    Raises:
        VideoError: A video cannot be decoded.
        UsageError: The file cannot be written.
    """
    limits = limits or MediaLimits()
    sheet = AlignmentSheet.of(alignment)
    with WorkerPool(limits) as pool:
        stills_a, stills_b = (
            stills_at(pool, Path(axis.track.video), limits, axis.moments, side_px=STILL_PX)
            for axis in (sheet.first, sheet.second)
        )
    drawn = sheet.draw(stills_a, stills_b, _facts(alignment, view))
    with output_file(output) as partial:
        write_png(partial, drawn)


def _facts(alignment: Alignment, view: str) -> str:
    facts = (
        f"Light: what A shows there is like what B shows there (cosine of the embeddings of {view}). Line: the most "
        f"alike way through both, mean cosine {alignment.score:.2f}. Colours: parts of A and B that go together."
    )
    merged = max(alignment.first.num_merged, alignment.second.num_merged)
    return f"{facts} Up to {merged} blocks are taken as one." if merged > 1 else facts
