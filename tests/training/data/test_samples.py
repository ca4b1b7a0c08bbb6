"""What the methods beside CoCon draw of a video."""

from collections import Counter

import numpy as np
import pytest

from cocon.training.config.input_sections import ClipSection
from cocon.training.data.samples import BlockPairSampler, FramePairSampler, SegmentSampler

CLIP = ClipSection(num_blocks=3, frames_per_block=4, step_seconds=0.1, stride_jitter=(0.8, 1.25))


def test_a_pair_of_blocks_is_one_block_twice_half_of_the_time() -> None:
    rng, times = np.random.default_rng(0), np.arange(90) / 30
    pairs = np.stack([BlockPairSampler(CLIP).draw(times, rng) for _ in range(600)])
    assert pairs.shape == (600, 2, 4)
    is_same = (pairs[:, 0] == pairs[:, 1]).all(axis=1)
    assert 0.44 < is_same.mean() < 0.6
    steps = np.diff(pairs, axis=2)
    assert set(np.unique(steps)) <= {2, 3, 4}  # 0.1 s of 30 frames a second, and its jitter
    assert pairs[..., 0].min() == 0
    assert pairs[..., -1].max() == 89


@pytest.mark.parametrize("num_frames", [6, 7, 30, 100])
def test_tuples_take_two_frames_of_each_third(num_frames: int) -> None:
    rng, times = np.random.default_rng(0), np.arange(num_frames) / 30
    bounds = np.linspace(0, num_frames, 4).astype(int)
    draws = np.stack([SegmentSampler().draw(times, rng) for _ in range(400)])
    assert draws.shape == (400, 8, 1)
    query, key, again = np.split(draws[..., 0], [3, 6], axis=1)
    for third in range(3):
        for frames in (query[:, third], key[:, third]):
            assert frames.min() == bounds[third]
            assert frames.max() == bounds[third + 1] - 1
    assert (query != key).all()
    assert (again == query[:, [0, 2]]).all()


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_a_video_of_few_frames_gives_them_repeatedly(num_frames: int) -> None:
    rng, times = np.random.default_rng(0), np.arange(num_frames) / 30
    for sampler in (BlockPairSampler(CLIP), SegmentSampler(), FramePairSampler()):
        for _ in range(20):
            frames = sampler.draw(times, rng)
            assert frames.min() >= 0
            assert frames.max() < num_frames


def test_a_further_frame_is_any_of_the_video() -> None:
    rng, times = np.random.default_rng(0), np.arange(5) / 30
    draws = np.stack([FramePairSampler().draw(times, rng)[:, 0] for _ in range(2000)])
    assert (draws[:, 0] == draws[:, 1]).all()
    counts = Counter(map(tuple, draws[:, 1:].tolist()))
    assert len(counts) == 25
    assert min(counts.values()) > 40
