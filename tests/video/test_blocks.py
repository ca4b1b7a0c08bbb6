"""Which blocks clips share."""

from dataclasses import replace

import numpy as np
import pytest

from cocon.video.blocks import DistinctBlocks, distinct_blocks, overlap_hop
from cocon.video.clips import ClipSpec, dense_windows, regular_windows

SPECS = [
    ClipSpec(num_blocks, frames, tail=tail, short_video=short)
    for num_blocks, frames in ((1, 4), (3, 1), (3, 2), (4, 5))
    for tail, short in (("anchor", "repeat_last"), ("pad", "loop"), ("drop", "shrink"))
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("num_grid", [1, 3, 7, 20, 41])
def test_every_block_comes_once_and_clips_are_made_of_them(spec: ClipSpec, num_grid: int) -> None:
    T = spec.frames_per_block
    for hop in range(1, spec.num_frames + 1):
        windows = dense_windows(num_grid, spec, hop=hop)
        blocks, numbers = distinct_blocks(windows, T)
        assert len(np.unique(blocks, axis=0)) == len(blocks)
        np.testing.assert_array_equal(blocks[numbers].reshape(windows.shape), windows)
        assert len(blocks) == len(np.unique(windows.reshape(-1, T), axis=0))


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("num_grid", [1, 3, 7, 20, 41])
def test_window_by_window_what_is_forgotten_never_comes_again(spec: ClipSpec, num_grid: int) -> None:
    for hop in range(1, spec.num_frames + 1):
        windows = dense_windows(num_grid, spec, hop=hop)
        known, seen = DistinctBlocks(spec.frames_per_block), []
        for window in windows:
            known.forget_before(int(window[0]))
            numbers, new = known.take(window)
            blocks = window.reshape(spec.num_blocks, -1)
            seen += [blocks[place] for place in new]
            np.testing.assert_array_equal(np.stack([seen[number] for number in numbers]), blocks)
        assert known.num_blocks == len(seen) == len(distinct_blocks(windows, spec.frames_per_block)[0])


def test_memory_of_blocks_is_that_of_a_window() -> None:
    spec, known = ClipSpec(8, 5), DistinctBlocks(5)
    for window in dense_windows(2000, spec, hop=1):
        known.forget_before(int(window[0]))
        known.take(window)
    assert known.num_blocks == 1996
    assert len(known) <= spec.num_frames


def test_windows_need_not_come_in_order_of_time() -> None:
    spec = ClipSpec(4, 3)
    windows = regular_windows(30, spec, num_clips=5)
    dense = dense_windows(30, replace(spec, num_blocks=1), hop=1)
    blocks, numbers = distinct_blocks([*windows, *dense], 3)
    np.testing.assert_array_equal(blocks[numbers], np.concatenate([windows.reshape(-1, 3), dense]))
    assert len(blocks) == len(dense)


@pytest.mark.parametrize(
    ("overlap", "hop"),
    [(0.0, 40), (0.1, 35), (0.3, 30), (0.5, 20), (0.6, 15), (0.75, 10), (0.8, 10), (0.87, 5), (0.9, 4), (0.999, 1)],
)
def test_clips_that_overlap_begin_where_a_block_does_unless_the_hop_is_shorter(overlap: float, hop: int) -> None:
    assert overlap_hop(ClipSpec(8, 5), overlap) == hop


@pytest.mark.parametrize(("overlap", "hop"), [(0.0, 5), (0.3, 4), (0.5, 2), (0.9, 1)])
def test_clips_of_one_block_overlap_by_frames(overlap: float, hop: int) -> None:
    assert overlap_hop(ClipSpec(1, 5), overlap) == hop


@pytest.mark.parametrize("frames", range(1, 7))
@pytest.mark.parametrize("num_blocks", range(1, 9))
def test_no_overlap_is_a_whole_clip_and_every_overlap_goes_on(num_blocks: int, frames: int) -> None:
    spec = ClipSpec(num_blocks, frames)
    assert overlap_hop(spec, 0.0) == spec.num_frames
    hops = [overlap_hop(spec, overlap) for overlap in np.linspace(0, 0.99, 100)]
    assert min(hops) >= 1 and hops == sorted(hops, reverse=True)
    assert all(hop % frames == 0 for hop in hops if hop >= frames and num_blocks > 1)
