"""All frames of a video at once, in several views: for training, which draws from them again and again."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import of_one_size, read_frames
from cocon.video.reading.live import PeopleCount, ViewRequest, live_frames
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool

__all__ = ["whole_video"]


def whole_video(
    path: Path, requests: Mapping[str, ViewRequest], workers: WorkerPool
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.uint8]]]:
    """Have a worker process decode a video and make views of it.

    Returns:
        Seconds after the first frame, `float64 [F]`, and view → `uint8 [F, H, W, C]`.

    Raises:
        VideoError: it cannot be decoded.
        UsageError: the file does not exist.
    """
    (message,) = workers.run(_decode_job, path, requests)
    return message.arrays["timestamps"], {view: message.arrays[view] for view in requests}


def _decode_job(beat: Beat, path: Path, requests: Mapping[str, ViewRequest]) -> Iterator[Message]:
    """All frames of a video in the requested views, as one message."""
    timestamps: list[float] = []
    pixels: dict[str, list[NDArray[np.uint8]]] = {view: [] for view in requests}
    for seconds, frame in live_frames(of_one_size(read_frames(path, on_frame=beat)), requests, PeopleCount()):
        timestamps.append(seconds)
        for view, made in pixels.items():
            made.append(frame.pixels(view))
    arrays = {view: np.stack(made) for view, made in pixels.items()}  # each [F, H, W, C]
    yield Message({}, {"timestamps": np.array(timestamps), **arrays})
