"""Segments of a video in which an action may take place: candidates from boundary probabilities, and what overlaps.

found = boundary_proposals(start, end, actionness, times_seconds)    # Lin et al., BSN, ECCV 2018, section 3.4
non_maximum_suppression(found)                                       # Bodla et al., Soft-NMS, ICCV 2017
uniform_proposals(duration_seconds, 100)                             # what one has without looking at the video
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Segment",
    "boundary_proposals",
    "non_maximum_suppression",
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


def non_maximum_suppression(
    segments: Sequence[Segment], *, sigma: float = 0.5, min_score: float = 0.001, max_segments: int | None = None
) -> list[Segment]:
    """Lower the scores of segments that overlap better ones (Bodla et al., ICCV 2017, equation 3: Gaussian Soft-NMS).

    Time after time the best of those that are left is taken, and each of the others of its label loses the factor
    exp(-tIoU² / sigma). Those that fall below the minimum are dropped.

    Args:
        segments: with scores of 0 or more, in any order; of equal scores the earlier in the list is taken first.
        sigma: positive; the smaller, the less overlap is tolerated.
        min_score: segments with less are not returned.
        max_segments: stop after so many; all if None.

    Returns:
        The segments that are left, with their new scores, best first.

    Raises:
        ValueError: a score is negative, sigma is not positive, or max_segments is.
    """
    if not sigma > 0:
        raise ValueError(f"sigma ({sigma}) must be positive")
    if max_segments is not None and max_segments < 1:
        raise ValueError(f"max_segments ({max_segments}) must be at least 1")
    bounds, scores = segment_bounds(segments), np.array([segment.score for segment in segments], np.float64)
    if (scores < 0).any():
        raise ValueError(f"scores ({scores.min()}) must be 0 or more")
    labels = np.array([segment.label for segment in segments], np.str_)
    left = np.arange(len(segments))
    kept: list[Segment] = []
    while len(left := left[scores[left] >= min_score]) and len(kept) != max_segments:
        best = left[scores[left].argmax()]
        kept.append(replace(segments[best], score=float(scores[best])))
        left = left[left != best]
        overlap = temporal_iou(bounds[[best]], bounds[left])[0] * (labels[left] == labels[best])
        scores[left] *= np.exp(-(overlap**2) / sigma)
    return kept


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


def uniform_proposals(duration_seconds: float, num: int) -> list[Segment]:
    """Segments that know nothing of the video: all of it, halves, quarters, …, each overlapping the next by half.

    Args:
        duration_seconds: of the video.
        num: how many segments; those of the last scale are spread evenly over the video.

    Returns:
        `num` segments without labels, from long to short and from the beginning to the end, scores falling from 1.

    Raises:
        ValueError: the duration is not positive and finite, or num is negative.
    """
    if not 0 < duration_seconds < math.inf:
        raise ValueError(f"duration_seconds ({duration_seconds}) must be positive and finite")
    if num < 0:
        raise ValueError(f"num ({num}) must be 0 or more")
    segments: list[Segment] = []
    parts = 1
    while len(segments) < num:
        length, count = duration_seconds / parts, min(2 * parts - 1, num - len(segments))
        # A single one lies in the middle.
        begins = np.linspace(0, duration_seconds - length, count) if count > 1 else [(duration_seconds - length) / 2]
        for begin in begins:
            segments.append(Segment(float(begin), float(begin) + length, 1 - len(segments) / num))
        parts *= 2
    return segments


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
