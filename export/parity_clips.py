"""Clips for the parity gate: from the videos a run was trained on where they are at hand, else generated ones."""

import logging
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.contract import ModelContract
from cocon.training.checkpoint import run_config
from cocon.training.data.datasets import open_dataset
from cocon.video.errors import UsageError, VideoError
from cocon.video.reader import VideoSource, ViewRequest

__all__ = ["clips_of_run", "mixed_with_noise", "moving_squares"]

_logger = logging.getLogger(__name__)

_CLIPS_PER_VIDEO = 2


def clips_of_run(run: Path, contract: ModelContract, num_clips: int = 8) -> NDArray[np.uint8]:
    """Clips of the videos that a run was trained on.

    Args:
        run: the run folder.
        contract: of the view whose clips are wanted.
        num_clips: how many at most.

    Returns:
        `uint8 [K, N, T, H, W, C]`, 1 ≤ K ≤ `num_clips`; moving squares when those videos are gone.

    Raises:
        UsageError: the folder is no run.
    """
    request = {contract.view: ViewRequest(contract.geometry, contract.flow)}
    clips: list[NDArray[np.uint8]] = []
    for path in islice(_videos(run), 4 * num_clips):
        if len(clips) >= num_clips:
            break
        try:
            source = VideoSource(path, contract.clip, request)
            clips += [clip.pixels[contract.view] for clip in islice(source.clips(), _CLIPS_PER_VIDEO)]
        except VideoError as error:
            _logger.info("parity leaves '%s' out: %s", path, error)
    return np.stack(clips[:num_clips]) if clips else moving_squares(contract, num_clips)


def moving_squares(contract: ModelContract, num_clips: int = 8) -> NDArray[np.uint8]:
    """Bright squares that cross a grey picture, each at its own speed: `uint8 [K, N, T, H, W, C]`."""
    N, T, H, W, C = contract.clip_shape
    side = max(2, H // 4)
    clips = np.full((num_clips, N * T, H, W, C), 96, np.uint8)
    for index, frames in enumerate(clips):
        for time, frame in enumerate(frames):
            left = (time * (index + 1)) % (W - side)
            top = (H // 8 * index) % (H - side)
            frame[top : top + side, left : left + side] = 255 - 20 * index % 128
    return clips.reshape(num_clips, N, T, H, W, C)


def mixed_with_noise(clips: NDArray[np.uint8], num_clips: int) -> NDArray[np.uint8]:
    """Alternate real clips `uint8 [K, …]` and uniform noise: `uint8 [num_clips, …]`, real ones repeated if few."""
    mixed = np.random.default_rng(0).integers(0, 256, (num_clips, *clips.shape[1:]), np.uint8)
    num_real = (num_clips + 1) // 2
    mixed[::2] = clips[np.arange(num_real) % len(clips)]
    return mixed


def _videos(run: Path) -> list[Path]:
    data = run_config(run).data
    try:
        return [entry.path for entry in open_dataset(data).videos]
    except UsageError as error:
        _logger.info("parity uses generated clips: %s", error)
        return []
