"""Segments of a video in which an action may take place: candidates from boundary probabilities, and what overlaps.

found = boundary_proposals(start, end, actionness, times_seconds)    # Lin et al., BSN, ECCV 2018, section 3.4
uniform_proposals(duration_seconds, 100, min_seconds=1.0)            # what one has without looking at the video
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Segment",
    "boundary_proposals",
    "segment_bounds",
    "temporal_iou",
    "uniform_proposals",
]

Floats = NDArray[np.float64]
Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video.

    Attributes:
        start_seconds: after the first frame.
        end_seconds: later than the start.
        score: how sure it is; higher is better.
        label: class name, or empty.

    Raises:
        ValueError: a number is not finite, or the end is not after the start.
    """

    start_seconds: float
    end_seconds: float
    score: float = 1.0
    label: str = ""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.start_seconds, self.end_seconds, self.score))):
            raise ValueError(f"start, end and score of {self} must be finite")
        if self.end_seconds <= self.start_seconds:
            raise ValueError(f"end_seconds of {self} must be after start_seconds")


def segment_bounds(segments: Sequence[Segment]) -> Floats:
    """Start and end of S segments in seconds, `float64 [S, 2]`."""
    bounds = [(segment.start_seconds, segment.end_seconds) for segment in segments]
    return np.array(bounds, np.float64).reshape(-1, 2)


def temporal_iou(first: Numbers, second: Numbers) -> Floats:
    """How far segments overlap: the length of their intersection as a share of that of their union (tIoU).

    Args:
        first: starts and ends, `float [P, 2]`.
        second: likewise, `float [Q, 2]`.

    Returns:
        `float64 [P, Q]`, from 0 to 1; 0 for two segments without length.

    Raises:
        ValueError: another shape, a number that is not finite, or an end before its start.
    """
    a, b = _checked_bounds(first)[:, None], _checked_bounds(second)[None]  # [P, 1, 2], [1, Q, 2]
    shared = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
    shared = np.maximum(shared, 0.0)  # [P, Q]
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def boundary_proposals(
    start: Numbers,
    end: Numbers,
    actionness: Numbers,
    times_seconds: Numbers,
    *,
    min_seconds: float = 0.0,
    max_seconds: float = math.inf,
    max_proposals: int | None = 1000,
) -> list[Segment]:
    """Candidates from the probabilities of L moments, as BSN makes them (Lin et al., ECCV 2018, section 3.4).

    A moment may be a start, or an end, whose probability is higher than before and after it, or more than half of the
    highest of the video. Every start with every later end is a candidate; its score is p_start · p_end · the mean
    actionness from the one to the other.

    Args:
        start: probability that an action begins here, `float [L]`.
        end: that one ends here, `float [L]`.
        actionness: that here is inside of one, `float [L]`.
        times_seconds: of the moments, rising, `float [L]`.
        min_seconds: candidates that are shorter are left out.
        max_seconds: likewise longer ones.
        max_proposals: so many of the best; all if None, which are up to L² / 2.

    Returns:
        Segments without labels, best first; of equal scores the earlier, then the shorter first.

    Raises:
        ValueError: the shapes differ, a probability is not in 0..1, times do not rise, or a limit makes no sense.
    """
    times = _checked_times(times_seconds)
    p_start, p_end, p_inside = (_checked_probabilities(p, len(times)) for p in (start, end, actionness))
    if not 0 <= min_seconds <= max_seconds:
        raise ValueError(f"min_seconds ({min_seconds}) must be from 0 to max_seconds ({max_seconds})")
    if max_proposals is not None and max_proposals < 1:
        raise ValueError(f"max_proposals ({max_proposals}) must be at least 1")
    first, last = _pairs(_peaks(p_start), _peaks(p_end), times, max_seconds)  # [S]
    lengths = times[last] - times[first]
    fits = (lengths >= min_seconds) & (lengths <= max_seconds)
    first, last = first[fits], last[fits]
    scores = p_start[first] * p_end[last] * _means(p_inside, first, last)
    best = np.argsort(-scores, kind="stable")[:max_proposals]
    return [Segment(float(times[first[k]]), float(times[last[k]]), float(scores[k])) for k in best]


def uniform_proposals(
    duration_seconds: float, num: int, *, min_seconds: float, max_seconds: float = math.inf
) -> list[Segment]:
    """Segments that know nothing of the video: windows of several lengths, slid over it.

    Lengths rise in equal ratios, and windows of each follow one another at an equal share of it; ratio and share are
    balanced, so that segments of any length and place between the limits are met about equally well. Lengths of which
    `num` windows could not cover the video are left out. Middle lengths come first, and of each length the first few
    windows are spread over the video as well as all of them: little is known, but that is made the most of.

    Args:
        duration_seconds: of the video.
        num: how many segments.
        min_seconds: the shortest, positive.
        max_seconds: the longest.

    Returns:
        `num` segments without labels, scores falling from 1; one where only the whole video fits, none where nothing
        does.

    Raises:
        ValueError: the duration is not positive and finite, num is negative, or a limit makes no sense.
    """
    if not 0 < duration_seconds < math.inf:
        raise ValueError(f"duration_seconds ({duration_seconds}) must be positive and finite")
    if num < 0:
        raise ValueError(f"num ({num}) must be 0 or more")
    if not 0 < min_seconds <= max_seconds:
        raise ValueError(f"min_seconds ({min_seconds}) must be positive and at most max_seconds ({max_seconds})")
    if num == 0 or min_seconds > duration_seconds:
        return []
    windows = _windows(duration_seconds, num, min_seconds, min(max_seconds, duration_seconds))
    return [Segment(start, end, 1 - rank / len(windows)) for rank, (start, end) in enumerate(windows.tolist())]


def _windows(duration: float, num: int, shortest: float, longest: float) -> Floats:
    """Starts and ends of windows slid over the video, `[num, 2]`, in the order of `uniform_proposals`."""
    # That many windows of a length, halved time after time, overlap by half.
    shortest = max(shortest, min(longest / 2, 4 * duration / num))
    # A window beside a segment by half the share, and longer by half the ratio, misses as much for the one as for the
    # other: log ratio = 2 share. The sum of windows is then about duration · (1/shortest - 1/longest) / (2 share²).
    share = math.sqrt(duration * (1 / shortest - 1 / longest) / (2 * num))
    count = min(num, 1 + round(math.log(longest / shortest) / (2 * share))) if share > 0 else 1
    lengths = np.geomspace(longest, shortest, count)
    room = duration / lengths - 1  # [count]
    more = (num - count) * room / room.sum() if room.sum() > 0 else 0 * room
    counts = np.diff(np.floor(np.cumsum(1 + more) + 0.5), prepend=0).astype(int)
    windows = []
    for k in sorted(range(count), key=lambda k: abs(2 * k + 1 - count)):
        starts = (duration - lengths[k]) * _spread(counts[k])
        windows.append(np.stack([starts, starts + lengths[k]], axis=1))
    return np.concatenate(windows)


def _spread(num: int) -> Floats:
    """0 to 1 in equal steps, `[num]`, in the order of bit reversal; the middle if there is but one."""
    order = sorted(range(num), key=lambda k: f"{k:032b}"[::-1])
    return np.array(order) / (num - 1) if num > 1 else np.array([0.5])


def _checked_bounds(bounds: Numbers) -> Floats:
    checked = np.asarray(bounds, np.float64)
    if checked.ndim != 2 or checked.shape[1] != 2:
        raise ValueError(f"segments {list(checked.shape)} must be [S, 2]: starts and ends")
    if not np.isfinite(checked).all() or (checked[:, 1] < checked[:, 0]).any():
        raise ValueError("segments must be finite and must not end before they start")
    return checked


def _checked_times(times: Numbers) -> Floats:
    checked = np.asarray(times, np.float64)
    if checked.ndim != 1 or not np.isfinite(checked).all() or (np.diff(checked) <= 0).any():
        raise ValueError(f"times_seconds {list(checked.shape)} must be [L], finite and rising")
    return checked


def _checked_probabilities(probabilities: Numbers, length: int) -> Floats:
    checked = np.asarray(probabilities, np.float64)
    if checked.shape != (length,):
        raise ValueError(f"probabilities {list(checked.shape)} must be one for each of the {length} times")
    if not ((checked >= 0) & (checked <= 1)).all():
        raise ValueError("probabilities must be from 0 to 1")
    return checked


def _pairs(
    starts: NDArray[np.intp], ends: NDArray[np.intp], times: Floats, max_seconds: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each start with each later end that is not much more than `max_seconds` away: `[S]` twice.

    Those of hours would not fit into memory without that limit.
    """
    low = np.searchsorted(ends, starts, side="right")
    high = np.searchsorted(times[ends], times[starts] + max_seconds * (1 + 1e-6) + 1e-6, side="right")
    counts = np.maximum(high - low, 0)
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return np.repeat(starts, counts), ends[np.repeat(low, counts) + within]


def _means(probabilities: Floats, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
    """Mean from each first to each last moment, both included."""
    sums = np.concatenate([[0.0], probabilities.cumsum()])
    means = (sums[last + 1] - sums[first]) / (last + 1 - first)
    return np.clip(means, 0.0, 1.0)  # differences of sums are rounded


def _peaks(probabilities: Floats) -> NDArray[np.intp]:
    """Moments of local maxima, and of more than half of the highest probability."""
    before, after = np.pad(probabilities, (1, 0))[:-1], np.pad(probabilities, (0, 1))[1:]
    is_peak = (probabilities > before) & (probabilities > after)
    return np.flatnonzero(is_peak | (probabilities > 0.5 * probabilities.max(initial=0.0)))
