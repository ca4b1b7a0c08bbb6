"""A picture, a row of pictures or a short film of a moment of any file, made in a worker process.

    with WorkerPool(limits) as pool:
        moment_still(pool, Path("video.mp4"), limits, 3600.0, long_side_px=320)      # RGB uint8 [H, W, 3]
        spread_stills(pool, Path("video.mp4"), limits, 4, side_px=112)               # RGB uint8 [4, 112, 112, 3]
        write_moment(pool, Path("video.mp4"), limits, 3600.0, 3602.0, Path("moment.mp4"), long_side_px=320)

What comes out is the whole picture as a viewer sees it, reduced and never enlarged; a row has the square in the middle
of each. A film is H.264 in MP4, eight bits, without sound: every browser plays it.
"""

import math
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.duration import duration_seconds
from cocon.video.decoding.frames import Frame, of_one_size
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import resize
from cocon.video.output_file import output_file
from cocon.video.pictures.encode import write_mp4
from cocon.video.pictures.stills import spread_moments, squared
from cocon.video.seeking.finding import pictures_from
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool, named

__all__ = ["moment_job", "moment_still", "spread_job", "spread_stills", "still_job", "write_moment"]

Pixels = NDArray[np.uint8]

# More pictures per second than this are left out of a film, as nobody sees them in a small one.
_MAX_RATE = 30.0
# Times are rounded by containers.
_SAME_MOMENT_S = 1e-3
_SHORTEST_SECONDS = 0.04


def moment_still(
    pool: WorkerPool, video: Path, limits: MediaLimits, seconds: float, *, long_side_px: int
) -> NDArray[np.uint8]:
    """The picture that is nearest to a moment; behind the end, the last.

    Args:
        pool: runs the decoder.
        video: the file.
        limits: how much is read before the file is refused.
        seconds: after the first frame.
        long_side_px: of the picture at most.

    Returns:
        RGB `uint8 [H, W, 3]`.

    Raises:
        UsageError: there is no such file.
        VideoError: it cannot be decoded.
    """
    (message,) = named(pool.run(still_job, video, limits, seconds, long_side_px), video)
    return message.arrays["still"]


def spread_stills(
    pool: WorkerPool,
    video: Path,
    limits: MediaLimits,
    number: int,
    *,
    side_px: int,
    begin_seconds: float = 0.0,
    end_seconds: float = math.inf,
) -> NDArray[np.uint8]:
    """Pictures from the middles of equal parts of a time, the square in the middle of each as an encoder sees it.

    Args:
        pool: runs the decoder.
        video: the file.
        limits: how much is read before the file is refused.
        number: how many; the same picture again where there are not so many.
        side_px: of the pictures.
        begin_seconds: of the time, after the first frame.
        end_seconds: of the time; infinite for the end of the video.

    Returns:
        RGB `uint8 [number, side_px, side_px, 3]`.

    Raises:
        UsageError: there is no such file.
        VideoError: it cannot be decoded.
    """
    messages = named(pool.run(spread_job, video, limits, number, side_px, begin_seconds, end_seconds), video)
    return np.stack([message.arrays["still"] for message in messages])


def write_moment(
    pool: WorkerPool,
    video: Path,
    limits: MediaLimits,
    begin_seconds: float,
    end_seconds: float,
    output: Path,
    *,
    long_side_px: int,
    quality: int = 23,
) -> NDArray[np.uint8]:
    """Write a part of a video as a film of its own that browsers play.

    Args:
        pool: runs the decoder and the encoder.
        video: the file.
        limits: how much is read before the file is refused.
        begin_seconds: after the first frame; behind the end, the film is the last picture alone.
        end_seconds: likewise; pictures from then on are left out, but the first one never is.
        output: the film; it is there whole or not at all.
        long_side_px: of its pictures at most.
        quality: H.264's constant rate factor, 0 to 51; the larger, the fewer bytes.

    Returns:
        Its first picture, RGB `uint8 [H, W, 3]`.

    Raises:
        UsageError: there is no such file, or the film cannot be written.
        VideoError: it cannot be decoded.
        StorageError: the disk takes no more.
    """
    with output_file(output) as partial:
        job = pool.run(moment_job, video, limits, begin_seconds, end_seconds, partial, long_side_px, quality)
        (message,) = named(job, video)
    return message.arrays["first"]


def still_job(beat: Beat, video: Path, limits: MediaLimits, seconds: float, long_side_px: int) -> Iterator[Message]:
    """Look for a picture.

    Yields:
        Its array `still`, `uint8 [H, W, 3]`.
    """
    yield Message({}, {"still": _reduced(_nearest(video, limits, seconds, beat), long_side_px)})


def spread_job(
    beat: Beat,
    video: Path,
    limits: MediaLimits,
    number: int,
    side_px: int,
    begin_seconds: float,
    end_seconds: float,
) -> Iterator[Message]:
    """Look for pictures of a time.

    Yields:
        For each the array `still`, `uint8 [side_px, side_px, 3]`.
    """
    end_seconds = max(begin_seconds, min(end_seconds, duration_seconds(video, limits)))
    for seconds in spread_moments(begin_seconds, end_seconds, number):
        yield Message({}, {"still": squared(_nearest(video, limits, seconds, beat), side_px)})


def moment_job(
    beat: Beat,
    video: Path,
    limits: MediaLimits,
    begin_seconds: float,
    end_seconds: float,
    output: Path,
    long_side_px: int,
    quality: int,
) -> Iterator[Message]:
    """Decode a part of a video and write it to `output`.

    Yields:
        The array `first`, its first picture, `uint8 [H, W, 3]`.
    """
    end_seconds = max(end_seconds, begin_seconds + _SHORTEST_SECONDS)
    shown = _between(pictures_from(video, limits, begin_seconds, on_frame=beat), begin_seconds, end_seconds)
    first_seconds, pixels = next(shown)
    first = _even(_reduced(pixels, long_side_px))
    reduced = (
        (seconds - first_seconds, _even(_reduced(pixels, long_side_px)))
        for seconds, pixels in _thinned(shown, first_seconds)
    )
    write_mp4(output, of_one_size(chain([(0.0, first)], reduced)), quality=quality)
    yield Message({}, {"first": first})


def _nearest(video: Path, limits: MediaLimits, seconds: float, beat: Callable[[], None]) -> Pixels:
    pictures = pictures_from(video, limits, seconds, on_frame=beat)
    before = next(pictures)
    after = next(pictures, before) if seconds > before[0] else before
    return before[1] if seconds <= (before[0] + after[0]) / 2 else after[1]


def _between(pictures: Iterator[Frame], begin: float, end: float) -> Iterator[Frame]:
    """The pictures of a time; where there is none, the last one before."""
    before: Frame | None = None
    for seconds, pixels in pictures:
        if seconds >= end:
            break
        if seconds < begin - _SAME_MOMENT_S:
            before = seconds, pixels
            continue
        before = None
        yield seconds, pixels
        begin = -1.0  # it is found
    if before is not None and begin >= 0:
        yield before


def _thinned(pictures: Iterator[Frame], last: float) -> Iterator[Frame]:
    """Without pictures that come sooner after the one before than is seen."""
    for seconds, pixels in pictures:
        if seconds - last >= 1 / _MAX_RATE - _SAME_MOMENT_S:
            last = seconds
            yield seconds, pixels


def _reduced(pixels: Pixels, long_side_px: int) -> Pixels:
    """A picture whose long side is at most that long."""
    height, width = pixels.shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    return np.ascontiguousarray(resize(pixels, max(1, round(height * scale)), max(1, round(width * scale))))


def _even(pixels: Pixels) -> Pixels:
    """With even sides, as H.264 needs them: a last odd line is left out, a single one shown twice."""
    height, width = pixels.shape[:2]
    return resize(pixels, max(2, height - height % 2), max(2, width - width % 2))
