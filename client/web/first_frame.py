"""A first look at a video, in a worker process; which imports this module alone, and so is soon ready."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cocon.video.decoding.container import read_header
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat

__all__ = ["first_frame_job"]


def first_frame_job(beat: Beat, video: Path, limits: MediaLimits) -> Iterator[Message]:
    """Look whether a file is a video within limits, and decodes at all.

    Yields:
        `duration_seconds`, as far as the header says.
    """
    with suppress(StopIteration):
        next(read_frames(video, limits, on_frame=beat))
    yield Message({"duration_seconds": read_header(video).duration_seconds})
