"""Pictures of an opened video in one sequential pass, which goes on behind damage and says what was damaged."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cocon.core.ahead import produced_ahead
from cocon.video.decoding.clock import Clock
from cocon.video.decoding.container import Header, open_video
from cocon.video.decoding.packets import decoded_frames, frames_per_second
from cocon.video.decoding.picture import Picture
from cocon.video.decoding.viewing import Viewing

if TYPE_CHECKING:
    import av

__all__ = ["decoded_pictures"]

_MAX_AHEAD = 8
_MAX_AHEAD_PIXELS = 8 << 20  # a picture of the largest size is as much as four seconds of others


def decoded_pictures(
    path: Path,
    header: Header,
    check_shape: Callable[[int, int], None],
    damaged: list[str],
    notes: list[str],
    spent_s: list[float],
    *,
    is_ahead: bool = False,
) -> Generator[tuple[float, Picture], None, None]:
    """Decode a video as a viewer sees it: (seconds after the first frame, picture), in order.

    Args:
        path: the file.
        header: of it.
        check_shape: refuses heights and widths; asked before a picture is made, since headers lie and sizes change.
        damaged: takes one line for every packet that does not decode, or not without concealed errors.
        notes: takes what else a user should know, once.
        spent_s: takes at the end how many seconds of a processor decoding took, if it is done ahead.
        is_ahead: decode in a thread, a few frames ahead of who takes them. Whoever does not take them all closes the
            iterator then.
    """
    timed = partial(_timed_frames, path, header, damaged, spent_s)
    height, width = header.stored_shape
    max_waiting = min(_MAX_AHEAD, 1 + _MAX_AHEAD_PIXELS // max(1, height * width))
    # FFmpeg's objects stay in the thread that decodes, pictures are made in that of the caller.
    frames = produced_ahead(timed, max_waiting=max_waiting) if is_ahead else timed()
    viewing = Viewing(header.sample_aspect_ratio, check_shape, damaged, notes)
    with closing(frames):
        for seconds, frame in frames:
            picture = viewing.picture(frame)
            if picture is not None:
                yield seconds, picture


def _timed_frames(
    path: Path, header: Header, damaged: list[str], spent_s: list[float]
) -> "Generator[tuple[float, av.VideoFrame], None, None]":
    begin_s = time.thread_time()
    with open_video(path) as (container, stream):
        stream.codec_context.thread_count = 1  # with frame threads, a damaged packet takes sound neighbours with it
        rate = frames_per_second(container, stream)
        clock = Clock(container.format.name, rate, header.duration_seconds or 0.0, damaged)
        for frame in decoded_frames(container, stream, damaged):
            yield clock.seconds_of(frame), frame
    spent_s.append(time.thread_time() - begin_s)
