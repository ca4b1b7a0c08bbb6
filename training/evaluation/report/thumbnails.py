"""Small pictures of videos, for pages: the middle of the middle frame as JPEG."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2

from cocon.core.errors import CoconError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.pictures.stills import middle_still
from cocon.video.workers.pool import WorkerPool

__all__ = ["thumbnails"]

_SIDE_PX = 120
_JPEG_QUALITY = 80


def thumbnails(videos: Iterable[Path], *, on_progress: Callable[[int, int | None], None]) -> dict[Path, bytes]:
    """Square JPEG of every video's middle frame, decoded in a worker process; one that fails is left out.

    Args:
        videos: the files; from strangers, for all we know.
        on_progress: called with (videos done, videos in all).
    """
    wanted = sorted(set(videos))
    made = {}
    limits = MediaLimits()
    with WorkerPool(limits) as pool:
        for done, video in enumerate(wanted, start=1):
            try:
                still = cv2.cvtColor(middle_still(pool, video, limits, side_px=_SIDE_PX), cv2.COLOR_RGB2BGR)
                made[video] = cv2.imencode(".jpg", still, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
            except CoconError:
                pass  # the page shows a grey tile; evaluation has already named videos that fail
            on_progress(done, len(wanted))
    return made
