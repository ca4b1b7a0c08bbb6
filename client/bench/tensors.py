"""What is sent: random numbers, zeros, or the clips of a video."""

from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.bench.measured_model import Request, TensorSpec
from cocon.core.paths import check_file
from cocon.embedding.contract import CLIP, ModelContract
from cocon.video.decoding.limits import MediaLimits
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.workers.pool import WorkerPool

__all__ = ["clip_requests", "made_requests"]

# Different requests, so that no cache has the answer at once.
_NUM_REQUESTS = 4


def made_requests(inputs: Mapping[str, TensorSpec], batch_size: int, *, is_random: bool) -> list[Request]:
    """Requests of random numbers or zeros, of so many rows."""
    rng = np.random.default_rng(0)
    return [
        {name: _made((batch_size, *spec.shape), spec, rng if is_random else None) for name, spec in inputs.items()}
        for _ in range(_NUM_REQUESTS)
    ]


def clip_requests(path: Path, contract: ModelContract, batch_size: int, limits: MediaLimits) -> list[Request]:
    """Requests of the first clips of a video, again from the first where it has no more.

    Args:
        path: The video.
        contract: Of the encoder.
        batch_size: Clips of a request.
        limits: Of the video.

    Raises:
        VideoError: It cannot be decoded, or has not the encoder's view.
        UsageError: It does not exist.
    """
    check_file(path, "video")
    request = ViewRequest(contract.geometry, contract.flow, contract.made_by, people_by=contract.people_by)
    source = VideoSource(path, contract.clip, {contract.view: request}, limits=limits)
    num_clips = batch_size * _NUM_REQUESTS
    with WorkerPool(limits) as pool:
        clips = [clip.pixels[contract.view] for clip in islice(clips_in_worker(pool, source), num_clips)]
    again = cycle(clips)
    return [{CLIP: np.stack(list(islice(again, batch_size)))} for _ in range(_NUM_REQUESTS)]


def _made(shape: tuple[int, ...], spec: TensorSpec, rng: np.random.Generator | None) -> NDArray[Any]:
    if rng is None:
        return np.zeros(shape, spec.dtype)
    if np.issubdtype(spec.dtype, np.integer):
        return rng.integers(0, np.iinfo(spec.dtype).max, shape, spec.dtype, endpoint=True)
    return rng.standard_normal(shape).astype(spec.dtype)
