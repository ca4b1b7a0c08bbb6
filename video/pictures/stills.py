"""Small square pictures of a video at given moments, decoded in a worker process.

with WorkerPool(limits) as pool:
    stills = stills_at(pool, Path("video.mp4"), limits, [0.5, 1.5], side_px=96)     # uint8 [2, 96, 96, 3]
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import Frame, read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import centre_crop, resize_short_side
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool, named

__all__ = ["spread_moments", "squared", "stills_at", "stills_job"]

Pixels = NDArray[np.uint8]


def stills_at(
    pool: WorkerPool, video: Path, limits: MediaLimits, seconds: Sequence[float], *, side_px: int
) -> NDArray[np.uint8]:
    """The frames nearest to some moments, of the later ones no more than the last frame.

    Args:
        pool: runs the decoder.
        video: the file.
        limits: how much is read before the file is refused.
        seconds: moments after the first frame, in order, at least one.
        side_px: of the pictures: the middle of the frame, as an encoder sees it.

    Returns:
        RGB `uint8 [len(seconds), side_px, side_px, 3]`.

    Raises:
        UsageError: there is no such file.
        VideoError: it cannot be decoded.
    """
    messages = named(pool.run(stills_job, video, limits, list(seconds), side_px), video)
    return np.stack([message.arrays["still"] for message in messages])


def spread_moments(begin: float, end: float, number: int) -> list[float]:
    """The middles of `number` equal parts of a time, in seconds."""
    return [begin + (end - begin) * (part + 0.5) / number for part in range(number)]


def squared(pixels: Pixels, side_px: int) -> Pixels:
    """The middle of a picture as an encoder sees it, from `uint8 [H, W, 3]` to `uint8 [side_px, side_px, 3]`."""
    return np.ascontiguousarray(centre_crop(resize_short_side(pixels, side_px), side_px))


def stills_job(beat: Beat, video: Path, limits: MediaLimits, seconds: list[float], side_px: int) -> Iterator[Message]:
    """Read a video up to the last moment.

    Yields:
        For every moment the array `still`, `uint8 [side_px, side_px, 3]`.
    """
    for pixels in _nearest(read_frames(video, limits, on_frame=beat), seconds):
        yield Message({}, {"still": squared(pixels, side_px)})


def _nearest(frames: Iterator[Frame], seconds: Sequence[float]) -> Iterator[Pixels]:
    """For every moment the nearest frame, in one pass."""
    wanted = iter(seconds)
    moment = next(wanted, None)
    before = next(frames)
    for frame in frames:
        while moment is not None and moment <= (before[0] + frame[0]) / 2:
            yield before[1]
            moment = next(wanted, None)
        if moment is None:
            return
        before = frame
    while moment is not None:
        yield before[1]
        moment = next(wanted, None)
