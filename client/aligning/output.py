"""Writing the picture of an alignment: stills are decoded in worker processes, the file appears whole."""

from pathlib import Path

from cocon.client.aligning.align import Alignment
from cocon.client.aligning.axes import STILL_PX
from cocon.client.aligning.picture import AlignmentSheet
from cocon.core.atomic import replacing
from cocon.core.errors import UsageError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.pictures.stills import stills_at
from cocon.video.preview.sheet import check_output
from cocon.video.workers.pool import WorkerPool

__all__ = ["check_picture", "write_picture"]


def check_picture(output: Path, videos: tuple[Path, Path]) -> None:
    """Refuse an output before any work is done.

    Raises:
        UsageError: It does not end in `.png`, is a folder or one of the videos, or cannot be written there.
    """
    if output.suffix.lower() != ".png":
        raise UsageError(f"--output '{output}' must end in .png")
    for video in videos:
        check_output(video, output)


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
    import cv2

    limits = limits or MediaLimits()
    sheet = AlignmentSheet.of(alignment)
    with WorkerPool(limits) as pool:
        stills_a, stills_b = (
            stills_at(pool, Path(axis.track.video), limits, axis.moments, side_px=STILL_PX)
            for axis in (sheet.first, sheet.second)
        )
    drawn = sheet.draw(stills_a, stills_b, _facts(alignment, view))
    _, encoded = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    try:
        with replacing(output) as partial:
            partial.write_bytes(encoded.tobytes())
    except OSError as error:
        raise UsageError(f"--output '{output}' cannot be written: {error.strerror or error}") from error


def _facts(alignment: Alignment, view: str) -> str:
    facts = (
        f"Light: what A shows there is like what B shows there (cosine of the embeddings of {view}). Line: the most "
        f"alike way through both, mean cosine {alignment.score:.2f}. Colours: parts of A and B that go together."
    )
    merged = max(alignment.first.num_merged, alignment.second.num_merged)
    return f"{facts} Up to {merged} blocks are taken as one." if merged > 1 else facts
