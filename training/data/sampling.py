"""Which frames of a video make a training clip: the samplers that `clip.sampler` names."""

import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.core.progress import OnProgress
from cocon.training.config.input_sections import ClipSection
from cocon.training.data.frames import VideoFrames
from cocon.training.data.stretches.pool import PooledFrames
from cocon.video.clips import random_window

__all__ = ["ClipSampler", "FrameSampler", "read_videos"]

_logger = logging.getLogger(__name__)

_MIN_VIDEOS = 2


class FrameSampler(Protocol):
    """Draws what a method looks at."""

    def draw(self, timestamps: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Source frames `int64 [N, T]` of a video whose presentation times in seconds are `float64 [F]`."""
        ...


class ClipSampler:
    """Draws clips as a configuration says.

    `dynamic` and `disjoint` place one window of evenly spaced frames; `random` places every block on its own, with a
    stride of its own (the samplers of the CoCon paper's code, there in source frames only).

    Args:
        clip: temporal geometry and sampler.
    """

    def __init__(self, clip: ClipSection) -> None:
        self._clip = clip
        self._spec = clip.spec()

    def draw(self, timestamps: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Source frames of one clip, `int64 [N, T]`."""
        step_scale = float(rng.uniform(*self._clip.stride_jitter))
        if self._clip.sampler == "random":
            return self._random_blocks(len(timestamps), rng)
        if self._clip.sampler == "disjoint":  # what fits at the step itself is not to be repeated by a longer one
            largest = self._spec.largest_step_scale(len(timestamps), float(timestamps[-1] - timestamps[0]))
            step_scale = min(step_scale, max(1.0, largest))
        window = random_window(timestamps, self._spec, rng, step_scale=step_scale)
        return window.reshape(self._spec.num_blocks, self._spec.frames_per_block)

    def fits(self, timestamps: NDArray[np.float64]) -> bool:
        """Whether a whole clip fits into a video, at the step without jitter."""
        return self._spec.fits(len(timestamps), float(timestamps[-1] - timestamps[0]))

    def _random_blocks(self, num_frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Per block a stride in 1..(F-1)//T source frames and a start from which the block fits."""
        N, T = self._spec.num_blocks, self._spec.frames_per_block
        strides = rng.integers(1, max(1, (num_frames - 1) // T), N, endpoint=True)
        starts = rng.integers(0, np.maximum(0, num_frames - 1 - (T - 1) * strides), endpoint=True)
        indices = starts[:, None] + strides[:, None] * np.arange(T)  # [N, T]
        return np.minimum(indices, num_frames - 1)  # only videos of fewer than T frames reach beyond


def read_videos(frames: VideoFrames, clip: ClipSection, on_progress: OnProgress) -> VideoFrames:
    """Load what fits in memory, and leave out what the sampler cannot use: for `disjoint` videos without a whole clip.

    `disjoint` reads every video for that, even where none is kept in memory; but nothing of those that are pooled.

    Raises:
        UsageError: fewer than two videos are left.
    """
    if clip.sampler != "disjoint":
        for done in frames.preload():
            on_progress(done, len(frames))
        return frames
    long_enough = []
    for position in range(len(frames)):
        if _has_a_clip(frames, position, clip):
            long_enough.append(position)
        on_progress(position + 1, len(frames))
    if len(long_enough) < _MIN_VIDEOS:
        raise UsageError(
            f"clip.sampler 'disjoint' needs videos as long as a clip; {len(long_enough)} of {len(frames)} are, "
            f"{_MIN_VIDEOS} are needed; shorten the clip, or use clip.sampler=dynamic"
        )
    if num_left_out := len(frames) - len(long_enough):
        _logger.warning("%d of %d videos are shorter than a clip and left out", num_left_out, len(frames))
    return frames.only(long_enough)


def _has_a_clip(frames: VideoFrames, position: int, clip: ClipSection) -> bool:
    if isinstance(frames, PooledFrames):
        return frames.fits(position, clip.spec())
    video = frames[position]  # another's frames stand in for a broken video
    return video.entry is frames.entries[position] and ClipSampler(clip).fits(video.timestamps)
