"""Clips for the parity gate: of the videos a run was trained on where they are at hand, else of generated figures."""

import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UsageError, VideoError
from cocon.embedding.contract import ModelContract
from cocon.training.data.datasets import open_dataset
from cocon.training.figures.filming import film_to_folder, video_path
from cocon.training.figures.planning import plan_videos
from cocon.training.figures.settings import FRAMES_PER_SECOND, FigureSettings
from cocon.training.run_folder.files import RunFolder
from cocon.video.reading.reader import VideoSource, ViewRequest

__all__ = ["clips_of_run", "figure_clips", "mixed_with_noise", "moving_squares"]

_logger = logging.getLogger(__name__)

_CLIPS_PER_VIDEO = 2
# Drawing one takes a fifth of a second, and there are several views.
_NUM_FIGURES = 3
_MAX_FIGURE_SECONDS = 30.0


def clips_of_run(run: RunFolder, contract: ModelContract, num_clips: int = 8) -> NDArray[np.uint8]:
    """Clips of the videos that a run was trained on.

    Args:
        run: the run folder.
        contract: of the view whose clips are wanted.
        num_clips: how many at most.

    Returns:
        `uint8 [K, N, T, H, W, C]`, 1 ≤ K ≤ `num_clips`; of generated figures when those videos are gone.

    Raises:
        UsageError: the folder is no run.
    """
    requests = {contract.view: ViewRequest(contract.geometry, contract.flow)}
    paths = islice(_videos(run), 4 * num_clips)
    clips = _first_clips((VideoSource(path, contract.clip, requests) for path in paths), contract.view, num_clips)
    return np.stack(clips) if clips else figure_clips(contract, min(num_clips, _NUM_FIGURES))


def figure_clips(contract: ModelContract, num_clips: int = 3) -> NDArray[np.uint8]:
    """Clips of figures that are drawn for it, in any view, with the generator's exact flow, pose and mask.

    Returns:
        `uint8 [num_clips, N, T, H, W, C]`, of different actions; moving squares for a flow over another interval than
        the generator's.
    """
    requests = {contract.view: ViewRequest(contract.geometry, contract.flow)}
    step_seconds = contract.clip.step_seconds or (contract.clip.step_frames or 1) / FRAMES_PER_SECOND
    settings = FigureSettings(
        num_videos=2 * num_clips,  # half of them are for training
        seconds=max(0.1, min(contract.clip.num_frames * step_seconds, _MAX_FIGURE_SECONDS)),
        view_size_px=contract.flow.size_px if contract.flow else FigureSettings().view_size_px,
    )
    with TemporaryDirectory(prefix="cocon-figures-") as folder:
        root = Path(folder)
        for plan in (plans := plan_videos(settings)[:num_clips]):
            film_to_folder(root, plan, settings)
        files = ((video_path(root, plan.video_id), (root, plan.video_id)) for plan in plans)
        sources = (VideoSource(path, contract.clip, requests, kept_as=kept_as) for path, kept_as in files)
        clips = _first_clips(sources, contract.view, num_clips, per_video=1)
    return np.stack(clips) if clips else moving_squares(contract, num_clips)


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


def _first_clips(
    sources: Iterable[VideoSource], view: str, num_clips: int, *, per_video: int = _CLIPS_PER_VIDEO
) -> list[NDArray[np.uint8]]:
    """The first clips of each video, `uint8 [N, T, H, W, C]`; videos that cannot be read are left out."""
    clips: list[NDArray[np.uint8]] = []
    for source in sources:
        try:
            clips += [clip.pixels[view] for clip in islice(source.clips(), per_video)]
        except VideoError as error:
            _logger.info("parity leaves '%s' out: %s", source.path, error)
        if len(clips) >= num_clips:
            break
    return clips[:num_clips]


def _videos(run: RunFolder) -> list[Path]:
    data = run.config.data
    try:
        return [entry.path for entry in open_dataset(data).videos]
    except UsageError as error:
        _logger.info("parity uses generated clips: %s", error)
        return []
