"""Frames of a video file, in one sequential pass.

decord reads first; PyAV takes over where decord refuses the file or fails while reading it. Nothing ever seeks: one
pass is several times cheaper than one seek per clip.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.errors import NoVideoStreamError, UnreadableVideoError, UsageError, VideoError

__all__ = ["read_frames"]

_logger = logging.getLogger(__name__)

Frame = tuple[float, NDArray[np.uint8]]

# decord rounds times to float32, 0.5 ms off after four hours at most; PyAV's are exact.
_SAME_FRAME_S = 1e-3


def read_frames(path: Path) -> Iterator[Frame]:
    """Decode a video from its first frame to its last.

    The file is checked at once, frames are decoded as they are taken.

    Returns:
        (presentation time in seconds after the first frame, RGB `uint8 [H, W, 3]`) of every frame in presentation
        order, display rotation applied.

    Raises:
        UsageError: there is no such file.
        UnreadableVideoError: no frame can be decoded.
        NoVideoStreamError: the file holds no pictures.
    """
    if not path.is_file():
        raise UsageError(f"video '{path}' does not exist or is no file")
    _check_header(path)
    return _frames(path)


def _frames(path: Path) -> Iterator[Frame]:
    last_seconds = float("-inf")
    try:
        for seconds, pixels in _decord_frames(path):
            last_seconds = seconds
            yield seconds, pixels
        if last_seconds > float("-inf"):
            return
    except _DecordError as error:
        _logger.debug("decord gave up on %s after %.3f s: %s", path, last_seconds, error)
    yield from _frames_after(path, last_seconds)


def _check_header(path: Path) -> None:
    """Refuse what is no video (0.4 ms), since decord writes lines of its own to stderr about such files."""
    import av

    try:
        with av.open(str(path)) as container:
            has_video = bool(container.streams.video)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideoError(f"video '{path}' cannot be decoded: {error}") from error
    if not has_video:
        raise NoVideoStreamError(f"'{path}' has no video stream")


class _DecordError(Exception):
    """decord refused the file or failed while reading."""


def _decord_frames(path: Path) -> Iterator[Frame]:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        # [F, 2]: begin and end of each frame's display
        times = reader.get_frame_timestamp(range(len(reader)))[:, 0] if len(reader) else np.empty(0)
    except (decord.DECORDError, RuntimeError, OSError, IndexError) as error:
        raise _DecordError(str(error)) from error
    if not np.all(np.diff(times) > 0):  # MPEG program streams: "no time known" shows as a huge negative number
        raise _DecordError("presentation times do not increase")
    for seconds in times:
        try:
            pixels = reader.next().asnumpy()
        except (decord.DECORDError, RuntimeError, StopIteration) as error:
            raise _DecordError(str(error)) from error
        if pixels.shape[2] != 3:  # decord2 3.4 takes the row padding of narrow pictures for a fourth channel
            raise _DecordError(f"pictures have {pixels.shape[2]} channels")
        yield float(seconds), pixels


def _frames_after(path: Path, last_seconds: float) -> Iterator[Frame]:
    """PyAV's frames later than `last_seconds`; a file that breaks half-way gives the frames before the break."""
    num_frames = 0
    try:
        for seconds, pixels in _pyav_frames(path):
            num_frames += 1
            if seconds > last_seconds + _SAME_FRAME_S:
                yield seconds, pixels
    except VideoError:
        if num_frames == 0 and last_seconds == float("-inf"):
            raise
        _logger.warning("%s: decoding stopped after %d frames; the rest of the file is damaged", path, num_frames)
        return
    if num_frames == 0 and last_seconds == float("-inf"):
        raise UnreadableVideoError(f"video '{path}' has a video stream but no frame of it decodes")


def _pyav_frames(path: Path) -> Iterator[Frame]:
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or stream.guessed_rate or 25)
            first_seconds: float | None = None
            for index, frame in enumerate(container.decode(stream)):
                seconds = frame.time if frame.time is not None else index / rate
                first_seconds = seconds if first_seconds is None else first_seconds
                pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                yield float(seconds - first_seconds), _upright(pixels, frame.rotation)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideoError(f"video '{path}' cannot be decoded: {error}") from error


def _upright(pixels: NDArray[np.uint8], rotation_degrees: int) -> NDArray[np.uint8]:
    """Undo the display rotation, counter-clockwise in degrees, that PyAV reports beside the raw frame."""
    quarter_turns = round(rotation_degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels
