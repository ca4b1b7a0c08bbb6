"""Clip sampling: which frames of a video make a clip, and what happens at its end.

A video is first put on a *grid*: the frames nearest to 0, step, 2·step, … seconds. A *block* is T neighbouring grid
frames, a *clip* is N consecutive blocks, so a clip is a window of N·T grid frames:

    source   f f f f f f f f f f f f f f f f        25 fps, 60 fps, variable: any presentation times
    grid     x . . x . . x . . x . . x . . x        one frame per step
    clip     [x     x     x | x     x     x]        N = 2 blocks of T = 3 frames

No frame is dropped silently: the tail policy says what happens after the last full window, the short-video policy what
happens when not even one window fits.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ClipSpec",
    "ShortVideoPolicy",
    "TailPolicy",
    "dense_windows",
    "grid_indices",
    "nearest_frame",
    "nearest_frames",
    "random_window",
    "regular_windows",
    "resample",
]

T = TypeVar("T")

ShortVideoPolicy = Literal["repeat_last", "loop", "shrink"]
TailPolicy = Literal["anchor", "pad", "drop"]

# Presentation times are rational numbers of a container's clock, rounded to floats. Two frames are
# equally near to a grid time within this tolerance.
_TIME_TOLERANCE_S = 1e-4


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """Temporal geometry of a clip. Exactly one of the two steps is given.

    Attributes:
        num_blocks: N, blocks per clip.
        frames_per_block: T, frames per block.
        step_seconds: time between neighbouring frames of a clip.
        step_frames: the same in source frames, for protocols defined that way.
        short_video: fewer grid frames than one clip: repeat the last one, loop from the start, or shrink the step so
            that the clip ends with the video (the paper's rule).
        tail: frames after the last full window: `anchor` adds one window that ends with the video, `pad` one that
            repeats the last frame, `drop` none.
    """

    num_blocks: int = 8
    frames_per_block: int = 5
    step_seconds: float | None = 0.1
    step_frames: int | None = None
    short_video: ShortVideoPolicy = "repeat_last"
    tail: TailPolicy = "anchor"

    def __post_init__(self) -> None:
        if self.num_blocks < 1 or self.frames_per_block < 1:
            raise ValueError(f"clip needs at least 1 block ({self.num_blocks}) and frame ({self.frames_per_block})")
        if (self.step_seconds is None) == (self.step_frames is None):
            raise ValueError("clip needs exactly one of step_seconds and step_frames")
        if (self.step_seconds or self.step_frames or 0) <= 0:
            raise ValueError(f"clip step ({self.step_seconds or self.step_frames}) must be positive")
        if self.short_video not in get_args(ShortVideoPolicy) or self.tail not in get_args(TailPolicy):
            raise ValueError(f"unknown policy: short_video '{self.short_video}', tail '{self.tail}'")

    @property
    def num_frames(self) -> int:
        """N·T, frames of one clip."""
        return self.num_blocks * self.frames_per_block

    def largest_step_scale(self, num_frames: int, last_seconds: float) -> float:
        """Factor on the step by which one clip fills a whole video.

        Args:
            num_frames: of the video.
            last_seconds: time of its last frame after the first.
        """
        num_steps = max(1, self.num_frames - 1)
        if self.step_seconds is not None:
            return last_seconds / (num_steps * self.step_seconds)
        assert self.step_frames is not None
        return (num_frames - 1) // num_steps / self.step_frames

    def fits(self, num_frames: int, last_seconds: float) -> bool:
        """Whether a whole clip fits into a video; see `largest_step_scale`."""
        return self.num_frames == 1 or self.largest_step_scale(num_frames, last_seconds) > 1.0 - _TIME_TOLERANCE_S


def grid_indices(
    timestamps: NDArray[np.float64], spec: ClipSpec, *, origin_seconds: float = 0.0, step_scale: float = 1.0
) -> NDArray[np.int64]:
    """Source frame of every grid position.

    Args:
        timestamps: presentation times in seconds, `float64 [F]`, increasing, F ≥ 1.
        spec: the clip's temporal geometry.
        origin_seconds: time of grid position 0, relative to the first frame.
        step_scale: factor on the step, for stride jitter in training.

    Returns:
        `int64 [G]`, G ≥ 1; the nearest frame to each grid time, the earlier one of two equally near.
    """
    times = timestamps - timestamps[0]
    if spec.step_frames is not None:
        first = nearest_frames(times, np.array([origin_seconds]))[0]
        return np.arange(first, len(times), _scaled_step_frames(spec, step_scale), dtype=np.int64)
    assert spec.step_seconds is not None
    step = spec.step_seconds * step_scale
    num_positions = max(0, int((times[-1] - origin_seconds + _TIME_TOLERANCE_S) / step)) + 1
    return nearest_frames(times, origin_seconds + step * np.arange(num_positions))


def nearest_frames(times: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.int64]:
    """The frame nearest to each moment, the earlier one of two equally near.

    Args:
        times: presentation times in seconds, `float64 [F]`, increasing.
        targets: moments on the same clock, `float64 [...]`.

    Returns:
        `int64`, the shape of `targets`.
    """
    middles = (times[1:] + times[:-1]) / 2
    return np.searchsorted(middles, targets - _TIME_TOLERANCE_S, side="left").astype(np.int64)


def nearest_frame(times: NDArray[np.float64], target: float) -> int:
    """`nearest_frames` of one moment, without looking at all frames."""
    moment = target - _TIME_TOLERANCE_S
    after = int(np.searchsorted(times, moment))  # times[after - 1] < moment <= times[after]
    if after in (0, len(times)):
        return max(0, after - 1)
    return after - 1 + int((times[after - 1] + times[after]) / 2 < moment)


def resample(frames: Iterable[tuple[float, T]], spec: ClipSpec) -> Iterator[tuple[float, T]]:
    """Put a stream of frames on the grid in one pass; yields what `grid_indices` would pick.

    Args:
        frames: (presentation time in seconds, frame) in presentation order.
        spec: the clip's temporal geometry.

    Yields:
        (grid time in seconds relative to the first frame, frame).
    """
    if spec.step_frames is not None:
        start_seconds: float | None = None
        for index, (seconds, frame) in enumerate(frames):
            start_seconds = seconds if start_seconds is None else start_seconds
            if index % spec.step_frames == 0:
                yield seconds - start_seconds, frame
        return
    assert spec.step_seconds is not None
    yield from _resample_by_time(frames, spec.step_seconds)


def dense_windows(num_grid: int, spec: ClipSpec, *, hop: int | None = None) -> NDArray[np.int64]:
    """Windows that cover the whole grid.

    Args:
        num_grid: G, grid frames of the video, at least 1.
        spec: the clip's temporal geometry and policies.
        hop: grid frames between the starts of neighbouring windows; N·T (no overlap) by default.

    Returns:
        Grid positions `int64 [K, N·T]`, K ≥ 1.
    """
    size, hop = spec.num_frames, hop or spec.num_frames
    if num_grid <= size:
        return _fitted(np.zeros(1, np.int64), num_grid, spec)
    starts = np.arange(0, num_grid - size + 1, hop)
    if starts[-1] + size < num_grid and spec.tail != "drop":
        last = num_grid - size if spec.tail == "anchor" else starts[-1] + hop
        starts = np.append(starts, last)
    return _fitted(starts, num_grid, spec)


def regular_windows(num_grid: int, spec: ClipSpec, *, num_clips: int) -> NDArray[np.int64]:
    """`num_clips` windows, the first at the start, the last at the end, evenly spread: `int64 [K, N·T]`."""
    last_start = max(0, num_grid - spec.num_frames)
    starts = [last_start / 2] if num_clips == 1 else np.linspace(0, last_start, num_clips)
    return _fitted(np.round(starts).astype(np.int64), num_grid, spec)


def random_window(
    timestamps: NDArray[np.float64],
    spec: ClipSpec,
    rng: np.random.Generator,
    *,
    step_scale: float = 1.0,
) -> NDArray[np.int64]:
    """Source frames of one clip that begins at a random moment of the video: `int64 [N·T]`.

    The start is uniform over the moments from which the whole clip fits; a video shorter than that starts at 0 and
    follows the short-video policy.
    """
    origin = float(rng.uniform(0.0, _latest_start(timestamps - timestamps[0], spec, step_scale)))
    grid = grid_indices(timestamps, spec, origin_seconds=origin, step_scale=step_scale)
    return grid[_fitted(np.zeros(1, np.int64), len(grid), spec)[0]]


def _latest_start(times: NDArray[np.float64], spec: ClipSpec, step_scale: float) -> float:
    """Latest moment from which a whole clip fits; 0 if none does."""
    if spec.step_seconds is not None:
        return max(0.0, float(times[-1]) - (spec.num_frames - 1) * spec.step_seconds * step_scale)
    last_first = len(times) - 1 - (spec.num_frames - 1) * _scaled_step_frames(spec, step_scale)
    return float(times[max(0, last_first)])


def _scaled_step_frames(spec: ClipSpec, step_scale: float) -> int:
    assert spec.step_frames is not None
    return max(1, round(spec.step_frames * step_scale))


def _fitted(starts: NDArray[np.int64], num_grid: int, spec: ClipSpec) -> NDArray[np.int64]:
    """Grid positions of windows at `starts`, positions past the end replaced by the policy."""
    positions = starts[:, None] + np.arange(spec.num_frames)  # [K, N·T]
    if num_grid < spec.num_frames and spec.short_video == "loop":
        return positions % num_grid
    if num_grid < spec.num_frames and spec.short_video == "shrink":
        return np.round(positions * (num_grid - 1) / max(1, spec.num_frames - 1)).astype(np.int64)
    return np.minimum(positions, num_grid - 1)


def _resample_by_time(frames: Iterable[tuple[float, T]], step_seconds: float) -> Iterator[tuple[float, T]]:
    position, origin = 0, 0.0
    previous: tuple[float, T] | None = None
    for seconds, frame in frames:
        if previous is None:
            origin = seconds
        else:
            middle = (previous[0] + seconds) / 2 - origin
            while position * step_seconds - _TIME_TOLERANCE_S <= middle:
                yield position * step_seconds, previous[1]
                position += 1
        previous = (seconds, frame)
    while previous is not None and position * step_seconds <= previous[0] - origin + _TIME_TOLERANCE_S:
        yield position * step_seconds, previous[1]
        position += 1
