"""How files end that are read as clips in a worker process."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cocon.core.errors import VideoError
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.views import view_named
from cocon.video.workers.pool import WorkerPool

__all__ = ["CLIPS", "Ending", "ending_of"]

CLIPS = "clips"
_SPEC = ClipSpec(num_blocks=2, frames_per_block=2, step_seconds=0.1)
_SIDE_PX = 32


@dataclass(frozen=True, slots=True)
class Ending:
    """How one file ended.

    Attributes:
        path: of the file.
        kind: `CLIPS`, or the class of the error.
        message: of the error; why pictures are missing where there are clips.
        num_clips: that came, also before an error.
        seconds: that it took.
    """

    path: Path
    kind: str
    message: str
    num_clips: int
    seconds: float


def ending_of(pool: WorkerPool, path: Path, views: Iterable[str] = ("rgb", "flow")) -> Ending:
    """Read a file to its end.

    Raises:
        AssertionError: what came is no clip: wrong shape, wrong type, times that are not finite or go back.
    """
    requests = {
        view: ViewRequest(Geometry(_SIDE_PX, _SIDE_PX), FlowSpec(size_px=_SIDE_PX) if view == "flow" else None)
        for view in views
    }
    source = VideoSource(path, _SPEC, requests)
    begin, num_clips, previous_seconds = time.monotonic(), 0, -1.0
    try:
        for clip in clips_in_worker(pool, source):
            assert clip.index == num_clips
            assert previous_seconds < clip.start_seconds <= clip.end_seconds < np.inf
            assert set(clip.pixels) == set(requests)
            for view, pixels in clip.pixels.items():
                assert pixels.shape == (2, 2, _SIDE_PX, _SIDE_PX, view_named(view).channels)
                assert pixels.dtype == np.uint8
            previous_seconds = clip.start_seconds
            num_clips += 1
        assert num_clips
        assert source.num_frames > 0
        assert 0 < source.duration_seconds < np.inf
        kind, message = CLIPS, source.lost
    except VideoError as error:
        kind, message = type(error).__name__, str(error)
        assert message == " ".join(message.split()), "an error is one line"
        assert str(path) in message
    return Ending(path, kind, message, num_clips, time.monotonic() - begin)
