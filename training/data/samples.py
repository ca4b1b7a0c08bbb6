"""What the other methods draw of a video in place of a clip: pairs of blocks, frames of its segments, pairs of frames.

A draw is `int64 [N, T]` source frames like a clip's, so cropping, colours and batching are the same; each of the N is
varied by itself; with `augment.horizontal_flip_per = "block"` it is mirrored by itself, too.
"""

import dataclasses
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cocon.training.config.input_sections import ClipSection
from cocon.training.config.method_sections import METHODS
from cocon.training.config.run import Config
from cocon.training.data.sampling import ClipSampler, FrameSampler
from cocon.video.clips import random_window

__all__ = ["BlockPairSampler", "FramePairSampler", "SegmentSampler", "pretraining_sampler"]


def pretraining_sampler(config: Config) -> FrameSampler:
    """What the configured method learns from."""
    match METHODS[config.method].sample:
        case "block pair":
            return BlockPairSampler(config.clip)
        case "segments":
            return SegmentSampler()
        case "frame pair":
            return FramePairSampler()
        case "clip":
            return ClipSampler(config.clip)


class BlockPairSampler:
    """N = 2 blocks of T frames for ViCC: half of the time the same one twice, else two at random moments.

    Source: Toering et al. 2022, released code.

    Args:
        clip: T, step and jitter.
    """

    def __init__(self, clip: ClipSection) -> None:
        self._spec = dataclasses.replace(clip.spec(), num_blocks=1)
        self._stride_jitter = clip.stride_jitter

    def draw(self, timestamps: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Source frames `int64 [2, T]`."""
        first = self._block(timestamps, rng)
        return np.stack([first, first if rng.random() < 0.5 else self._block(timestamps, rng)])

    def _block(self, timestamps: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        step_scale = float(rng.uniform(*self._stride_jitter))
        return random_window(timestamps, self._spec, rng, step_scale=step_scale)


class SegmentSampler:
    """N = 8 single frames for VCLR: q₁ q₂ q₃ · k₁ k₂ k₃ · q₁ q₃ again.

    q and k are two tuples of one frame from each third of the video, different ones where a third has two. Source:
    Kuang et al. 2021, released code.
    """

    def draw(self, timestamps: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Source frames `int64 [8, 1]`."""
        bounds = np.linspace(0, len(timestamps), 4).astype(np.int64)
        pairs = np.stack([_two_of(int(lo), int(hi), rng) for lo, hi in pairwise(bounds)])  # [3, 2]
        query, key = np.minimum(pairs, len(timestamps) - 1).T
        return np.concatenate([query, key, query[[0, 2]]])[:, None]


class FramePairSampler:
    """N = 3 single frames for CycleContrast: one frame twice, and a further one of the video, by chance the same.

    Source: Wu and Wang 2021, released code.
    """

    def draw(self, timestamps: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Source frames `int64 [3, 1]`."""
        query, further = rng.integers(0, len(timestamps), 2)
        return np.array([query, query, further], np.int64)[:, None]


def _two_of(start: int, stop: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Two frames of `start` to `stop`, exclusive, in random order; the same twice if there is no other."""
    if stop - start < 2:
        return np.array([start, start], np.int64)
    return start + rng.permutation(stop - start)[:2].astype(np.int64)
