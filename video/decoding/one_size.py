"""Frames of one size: streams may change theirs on the way, views of a video do not."""

from collections.abc import Iterator

from cocon.video.decoding.frames import Frame
from cocon.video.geometry import resize

__all__ = ["of_one_size"]


def of_one_size(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Give all frames the size of the first; one of another shape is stretched.

    Args:
        frames: (seconds, pixels `uint8 [H, W, 3]`), H and W of any frame its own.

    Yields:
        The same, with the H and W of the first.
    """
    shape: tuple[int, int] | None = None
    for seconds, pixels in frames:
        shape = shape or (pixels.shape[0], pixels.shape[1])
        yield seconds, resize(pixels, *shape)
