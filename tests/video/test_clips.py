"""Clip sampling: the grid, its streaming twin, and the windows with their policies."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.clips import (
    ClipSpec,
    ShortVideoPolicy,
    TailPolicy,
    dense_windows,
    grid_indices,
    nearest_frame,
    nearest_frames,
    random_window,
    regular_windows,
    resample,
)

Times = NDArray[np.float64]


def _constant(fps: float, count: int, *, start: float = 0.0) -> Times:
    return start + np.arange(count) / fps


def _variable(seed: int, count: int) -> Times:
    """Presentation times in whole milliseconds, 5 to 90 ms apart."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 5000) + np.cumsum(rng.integers(5, 90, count))) / 1000


VIDEOS: dict[str, Times] = {
    "25 fps": _constant(25, 111),
    "30 fps": _constant(30, 150),
    "29.97 fps": _constant(30000 / 1001, 140),
    "60 fps": _constant(60, 301),
    "10 fps": _constant(10, 50),
    "7 fps, slower than the grid": _constant(7, 31),
    "late start": _constant(25, 90, start=3.72),
    "one frame": _constant(25, 1),
    "two frames": _constant(25, 2),
    **{f"variable {seed}": _variable(seed, 20 + 17 * seed) for seed in range(8)},
}
SPECS = [
    ClipSpec(),
    ClipSpec(2, 3, step_seconds=0.04),
    ClipSpec(2, 3, step_seconds=1 / 15),
    ClipSpec(1, 4, step_seconds=0.25),
    ClipSpec(2, 2, step_seconds=None, step_frames=1),
    ClipSpec(2, 3, step_seconds=None, step_frames=3),
]


@pytest.mark.parametrize("times", VIDEOS.values(), ids=VIDEOS)
@pytest.mark.parametrize("spec", SPECS)
def test_a_stream_is_put_on_the_same_grid_as_an_array_of_times(times: Times, spec: ClipSpec) -> None:
    streamed = list(resample(((float(seconds), index) for index, seconds in enumerate(times)), spec))
    assert [index for _, index in streamed] == grid_indices(times, spec).tolist()


@pytest.mark.parametrize("times", VIDEOS.values(), ids=VIDEOS)
@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.step_seconds])
def test_the_grid_takes_the_nearest_frame_at_a_constant_spacing(times: Times, spec: ClipSpec) -> None:
    assert spec.step_seconds is not None
    streamed = list(resample(((float(seconds), seconds - times[0]) for seconds in times), spec))
    for position, (seconds, taken) in enumerate(streamed):
        assert seconds == pytest.approx(position * spec.step_seconds)
        assert abs(taken - seconds) <= np.abs(times - times[0] - seconds).min() + 2e-4
    assert len(streamed) == int((times[-1] - times[0] + 1e-4) / spec.step_seconds) + 1


@pytest.mark.parametrize("times", VIDEOS.values(), ids=VIDEOS)
@pytest.mark.parametrize("spec", SPECS)
def test_the_grid_is_sorted_starts_at_the_first_frame_and_stays_inside(times: Times, spec: ClipSpec) -> None:
    grid = grid_indices(times, spec)
    assert grid[0] == 0
    assert np.all(np.diff(grid) >= 0)
    assert grid[-1] < len(times)


@pytest.mark.parametrize("fps", [25, 30000 / 1001, 50, 60, 24])
def test_videos_of_any_frame_rate_agree_in_time_to_half_a_frame(fps: float) -> None:
    spec = ClipSpec()
    times, reference = _constant(fps, int(6 * fps) + 1), _constant(30, 181)
    grid, wanted = grid_indices(times, spec), grid_indices(reference, spec)
    shared = min(len(grid), len(wanted))
    assert shared >= 59
    assert np.abs(times[grid[:shared]] - reference[wanted[:shared]]).max() <= 0.5 / fps + 1e-4


def test_at_thirty_frames_per_second_the_default_step_is_the_papers_three_frames() -> None:
    assert grid_indices(_constant(30, 120), ClipSpec()).tolist() == list(range(0, 120, 3))


def test_of_two_equally_near_frames_the_earlier_is_taken() -> None:
    # At 25 fps, 0.1 s is half-way between frames 2 and 3, 0.3 s between 7 and 8.
    assert grid_indices(_constant(25, 12), ClipSpec()).tolist() == [0, 2, 5, 7, 10]


def test_times_rounded_to_float32_give_the_same_grid_for_twenty_minutes() -> None:
    exact = _constant(25, 25 * 60 * 20)  # a tie at every other grid time
    rounded = exact.astype(np.float32).astype(np.float64)
    assert np.array_equal(grid_indices(exact, ClipSpec()), grid_indices(rounded, ClipSpec()))


def test_a_later_origin_and_a_scaled_step_shift_and_stretch_the_grid() -> None:
    times = _constant(30, 100)
    assert grid_indices(times, ClipSpec(), origin_seconds=1.0).tolist() == list(range(30, 100, 3))
    assert grid_indices(times, ClipSpec(), step_scale=2.0).tolist() == list(range(0, 100, 6))
    by_frames = ClipSpec(step_seconds=None, step_frames=4)
    assert grid_indices(times, by_frames, origin_seconds=1.0).tolist() == list(range(30, 100, 4))
    assert grid_indices(times, by_frames, step_scale=0.1).tolist() == list(range(100))  # never below one frame


def test_an_empty_stream_gives_nothing() -> None:
    assert list(resample(iter([]), ClipSpec())) == []
    assert list(resample(iter([]), ClipSpec(step_seconds=None, step_frames=3))) == []


@pytest.mark.parametrize("tail", get_args(TailPolicy))
@pytest.mark.parametrize("hop", [None, 1, 2, 3, 5, 6])
@pytest.mark.parametrize("num_grid", [6, 7, 8, 11, 12, 13, 29])
def test_windows_cover_the_grid_under_every_tail_policy(tail: TailPolicy, hop: int | None, num_grid: int) -> None:
    windows = dense_windows(num_grid, ClipSpec(2, 3, tail=tail), hop=hop)
    covered = set(windows.ravel().tolist())
    left_over = (num_grid - 6) % (hop or 6)
    assert covered == set(range(num_grid - (left_over if tail == "drop" else 0)))
    assert windows.shape[1] == 6
    assert np.array_equal(windows[0], np.arange(6))


@pytest.mark.parametrize("hop", [None, 2, 5])
def test_windows_are_hop_apart_and_contiguous(hop: int | None) -> None:
    windows = dense_windows(29, ClipSpec(2, 3, tail="drop"), hop=hop)
    assert np.all(np.diff(windows[:, 0]) == (hop or 6))
    assert np.all(np.diff(windows, axis=1) == 1)


def test_each_tail_policy_ends_the_video_in_its_own_way() -> None:
    last = {tail: dense_windows(14, ClipSpec(2, 3, tail=tail))[-1].tolist() for tail in get_args(TailPolicy)}
    assert last["anchor"] == [8, 9, 10, 11, 12, 13]
    assert last["pad"] == [12, 13, 13, 13, 13, 13]
    assert last["drop"] == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("tail", get_args(TailPolicy))
def test_an_exact_fit_needs_no_tail_window(tail: TailPolicy) -> None:
    assert dense_windows(12, ClipSpec(2, 3, tail=tail))[:, 0].tolist() == [0, 6]


@pytest.mark.parametrize("tail", get_args(TailPolicy))
@pytest.mark.parametrize(
    ("policy", "expected"),
    [("repeat_last", [0, 1, 2, 3, 3, 3]), ("loop", [0, 1, 2, 3, 0, 1]), ("shrink", [0, 1, 1, 2, 2, 3])],
)
def test_a_short_video_follows_its_policy_and_is_never_dropped(
    tail: TailPolicy, policy: ShortVideoPolicy, expected: list[int]
) -> None:
    windows = dense_windows(4, ClipSpec(2, 3, short_video=policy, tail=tail))
    assert windows.tolist() == [expected]


@pytest.mark.parametrize("policy", get_args(ShortVideoPolicy))
def test_a_single_frame_makes_a_still_clip(policy: ShortVideoPolicy) -> None:
    spec = ClipSpec(2, 3, short_video=policy)
    assert dense_windows(1, spec).tolist() == [[0] * 6]
    assert random_window(np.zeros(1), spec, np.random.default_rng(0)).tolist() == [0] * 6


def test_a_shrunk_clip_starts_and_ends_with_the_video() -> None:
    for num_grid in range(2, 6):
        window = dense_windows(num_grid, ClipSpec(2, 3, short_video="shrink"))[0]
        assert window[0] == 0
        assert window[-1] == num_grid - 1
        assert np.all(np.diff(window) >= 0)
        assert set(window.tolist()) == set(range(num_grid))


def test_regular_windows_go_from_the_start_to_the_end() -> None:
    windows = regular_windows(30, ClipSpec(2, 3), num_clips=4)
    assert windows[:, 0].tolist() == [0, 8, 16, 24]
    assert windows[-1, -1] == 29
    assert regular_windows(30, ClipSpec(2, 3), num_clips=1)[0, 0] == 12  # one clip: the middle
    assert regular_windows(4, ClipSpec(2, 3), num_clips=2).tolist() == [[0, 1, 2, 3, 3, 3]] * 2


def _long_enough(times: Times, spec: ClipSpec, scale: float) -> bool:
    if spec.step_seconds:
        return float(times[-1] - times[0]) >= (spec.num_frames - 1) * spec.step_seconds * scale
    assert spec.step_frames
    return len(times) > (spec.num_frames - 1) * max(1, round(spec.step_frames * scale))


@pytest.mark.parametrize("times", VIDEOS.values(), ids=VIDEOS)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("scale", [1.0, 0.5, 1.7])
def test_a_random_clip_lies_inside_the_video_at_its_spacing(times: Times, spec: ClipSpec, scale: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        window = random_window(times, spec, rng, step_scale=scale)
        assert window.shape == (spec.num_frames,)
        assert window.min() >= 0
        assert window.max() < len(times)
        if not _long_enough(times, spec, scale):
            assert window[0] == 0
        elif spec.step_frames:
            assert np.all(np.diff(window) == max(1, round(spec.step_frames * scale)))
        else:
            assert spec.step_seconds
            drift = times[window] - times[window[0]] - np.arange(spec.num_frames) * spec.step_seconds * scale
            assert np.abs(drift).max() <= np.diff(times).max() + 2e-4  # each end half an interval off at most


def _stop_and_go(_: int) -> Times:
    """Half a second of dense frames, then one late straggler."""
    return np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 10.0])


@pytest.mark.parametrize("make_times", [_stop_and_go, lambda count: _constant(30, count)])
def test_a_random_clip_in_frame_steps_always_fits(make_times: Callable[[int], Times]) -> None:
    spec = ClipSpec(1, 3, step_seconds=None, step_frames=2)
    times, rng = make_times(9), np.random.default_rng(0)
    starts = {int(random_window(times, spec, rng)[0]) for _ in range(200)}
    assert starts == set(range(len(times) - 4))


def test_random_clips_start_anywhere_from_the_first_to_the_last_possible_moment() -> None:
    times, rng = _constant(30, 130), np.random.default_rng(0)  # 4.3 s hold a clip of 3.9 s and a little more
    starts = [int(random_window(times, ClipSpec(), rng)[0]) for _ in range(400)]
    assert set(starts) == set(range(13))  # 0 … 0.4 s
    assert np.bincount(starts)[1:-1].min() > 400 / 13 / 3  # evenly, but for the two ends


def test_random_clips_repeat_with_their_generator() -> None:
    times = _constant(30, 400)
    first, second = (
        [random_window(times, ClipSpec(), rng).tolist() for _ in range(5)]
        for rng in (np.random.default_rng(7), np.random.default_rng(7))
    )
    assert first == second
    assert len({tuple(window) for window in first}) > 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_blocks": 0},
        {"frames_per_block": 0},
        {"step_seconds": None},
        {"step_frames": 3},
        {"step_seconds": 0.0},
        {"step_seconds": -0.1},
        {"step_seconds": None, "step_frames": 0},
        {"short_video": "mirror"},
        {"tail": "cut"},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"clip|policy"):
        ClipSpec(**arguments)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("seed", range(4))
def test_one_moment_finds_the_frame_that_many_at_once_find(seed: int) -> None:
    times = _variable(seed, 40)
    ties = (times[1:] + times[:-1]) / 2
    moments = np.concatenate([ties, ties + 1e-4, ties - 2e-4, times, [-1.0, times[-1] + 1]])
    assert [nearest_frame(times, float(moment)) for moment in moments] == nearest_frames(times, moments).tolist()
    assert nearest_frame(times[:1], 3.0) == 0


@pytest.mark.parametrize(
    ("spec", "num_frames", "last_seconds", "fits"),
    [
        (ClipSpec(2, 2, 0.1), 4, 0.3, True),
        (ClipSpec(2, 2, 0.1), 400, 0.29, False),
        (ClipSpec(2, 2, None, 3), 10, 9.0, True),
        (ClipSpec(2, 2, None, 3), 9, 900.0, False),
        (ClipSpec(1, 1, 0.1), 1, 0.0, True),
    ],
)
def test_a_clip_fits_if_its_last_frame_is_one_of_the_video(
    spec: ClipSpec, num_frames: int, last_seconds: float, fits: bool
) -> None:
    assert spec.fits(num_frames, last_seconds) is fits
