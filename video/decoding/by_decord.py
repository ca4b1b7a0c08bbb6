"""Frames by decord: the fastest reader, for the files that it can read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["DecordError", "decord_frames"]

# decord decodes ahead of whoever takes the frames, without end: it may come to hold all of them (4 GB a minute at
# 720p), so it reads only what it may hold.
_MAX_HELD_BYTES = 128 << 20
# A longer pause between two frames may be a damaged time, which the other reader judges by the header.
_MAX_PAUSE_S = 60.0


class DecordError(Exception):
    """decord refused the file or failed while reading; another reader may do better."""


def decord_frames(path: Path, picture_bytes: int) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decode a video, upright: (presentation time in seconds after the first frame, RGB `uint8 [H, W, 3]`).

    Args:
        path: the file.
        picture_bytes: size of one decoded picture, as the header has it.

    Raises:
        DecordError: at once or after any frame.
    """
    import decord

    if path.stat().st_size > _MAX_HELD_BYTES:
        raise DecordError("the file is too big to be held in memory")
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        # [F, 2]: begin and end of each frame's display
        times = reader.get_frame_timestamp(range(len(reader)))[:, 0] if len(reader) else np.empty(0)
    except (decord.DECORDError, RuntimeError, OSError, IndexError, ValueError) as error:  # ValueError: a name not UTF-8
        raise DecordError(str(error)) from error
    # "No time known" shows as a huge negative number, in MPEG program streams and where a first packet is damaged.
    if len(times) * picture_bytes > _MAX_HELD_BYTES:
        raise DecordError("its pictures are too many to be held in memory")
    pauses = np.diff(times)
    if times[:1].any() or not np.all((pauses > 0) & (pauses <= _MAX_PAUSE_S)):
        raise DecordError("presentation times do not increase steadily from 0")
    for seconds in times:
        try:
            pixels = reader.next().asnumpy()
        except (decord.DECORDError, RuntimeError, StopIteration) as error:
            raise DecordError(str(error)) from error
        if pixels.shape[2] != 3:  # decord2 3.4 takes the row padding of narrow pictures for a fourth channel
            raise DecordError(f"pictures have {pixels.shape[2]} channels")
        yield float(seconds), pixels
