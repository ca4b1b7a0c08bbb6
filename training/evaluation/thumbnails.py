"""Small pictures of videos, for pages: the middle frame as JPEG, decoded in a worker process."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from cocon.video.decode import read_frames
from cocon.video.errors import CoconError
from cocon.video.geometry import resize_short_side
from cocon.video.limits import MediaLimits
from cocon.video.messages import Message
from cocon.video.workers import Beat, WorkerPool

__all__ = ["thumbnail_job", "thumbnails"]

_SHORT_SIDE_PX = 120
_JPEG_QUALITY = 80


def thumbnails(videos: Iterable[Path], *, on_progress: Callable[[int, int | None], None]) -> dict[Path, bytes]:
    """JPEG of every video's middle frame; one that cannot be decoded is left out.

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
                (message,) = pool.run(thumbnail_job, video, limits)
                made[video] = message.arrays["jpeg"].tobytes()
            except CoconError:
                pass  # the page shows a grey tile; evaluation has already named videos that fail
            on_progress(done, len(wanted))
    return made


def thumbnail_job(beat: Beat, video: Path, limits: MediaLimits) -> Iterator[Message]:
    """Read a video twice, as only its end tells where its middle is.

    Yields:
        The array `jpeg`, `uint8 [bytes]`: the middle frame, short side 120 px.
    """
    import cv2

    num_frames = sum(1 for _ in read_frames(video, limits, on_frame=beat))
    _, pixels = next(islice(read_frames(video, limits, on_frame=beat), num_frames // 2, None))
    small = resize_short_side(pixels, _SHORT_SIDE_PX)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    yield Message({}, {"jpeg": np.asarray(jpeg, np.uint8).reshape(-1)})
