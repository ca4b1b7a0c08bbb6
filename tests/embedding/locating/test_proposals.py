"""Temporal proposals: overlap and suppression by their definitions, candidates at peaks, a baseline that covers all."""

import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from cocon.embedding.locating.proposals import (
    Segment,
    boundary_proposals,
    segment_bounds,
    temporal_iou,
    uniform_proposals,
)
from cocon.embedding.locating.suppression import distinct_segments, non_maximum_suppression


def _iou(a: Segment, b: Segment) -> float:
    shared = max(0.0, min(a.end_seconds, b.end_seconds) - max(a.start_seconds, b.start_seconds))
    return shared / (a.end_seconds - a.start_seconds + b.end_seconds - b.start_seconds - shared)


def _random_segments(count: int, seed: int, labels: tuple[str, ...] = ("",)) -> list[Segment]:
    rng = np.random.default_rng(seed)
    starts, lengths, scores = rng.uniform(0, 20, count), rng.uniform(0.1, 10, count), rng.random(count)
    return [
        Segment(float(s), float(s + d), float(p), labels[rng.integers(len(labels))])
        for s, d, p in zip(starts, lengths, scores, strict=True)
    ]


def _reference_soft_nms(segments: list[Segment], sigma: float, min_score: float) -> list[tuple[Segment, float]]:
    """Figure 2 of Bodla et al. with the Gaussian penalty, per class."""
    boxes = [[segment, segment.score] for segment in segments]
    kept = []
    while boxes:
        top = max(boxes, key=lambda box: box[1])
        boxes.remove(top)
        if top[1] >= min_score:
            kept.append((top[0], top[1]))
        for box in boxes:
            if box[0].label == top[0].label:
                box[1] *= math.exp(-(_iou(top[0], box[0]) ** 2) / sigma)
    return kept


def test_temporal_iou_is_intersection_over_union() -> None:
    first, second = _random_segments(9, 0), _random_segments(7, 1)
    found = temporal_iou(segment_bounds(first), segment_bounds(second))
    np.testing.assert_allclose(found, [[_iou(a, b) for b in second] for a in first], atol=1e-12)
    ends = np.array([[0, 2], [1, 3], [2, 4], [5, 5]], np.float32)
    np.testing.assert_allclose(temporal_iou(ends[:1], ends), [[1, 1 / 3, 0, 0]])
    assert temporal_iou(ends[3:], ends[3:]) == 0
    assert temporal_iou(np.empty((0, 2)), ends).shape == (0, 4)


@pytest.mark.parametrize("bounds", [[[1.0, 0.0]], [[0.0, math.nan]], [0.0, 1.0], [[0.0, 1.0, 2.0]]])
def test_temporal_iou_refuses_what_are_no_segments(bounds: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="segments"):
        temporal_iou(np.array([[0.0, 1.0]]), np.array(bounds))


@pytest.mark.parametrize(
    ("start", "end", "score"), [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (0.0, math.inf, 1.0), (0, 1, math.nan)]
)
def test_a_segment_lasts_and_is_finite(start: float, end: float, score: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Segment(start, end, score)


@pytest.mark.parametrize("sigma", [0.1, 0.5])
@pytest.mark.parametrize("labels", [("",), ("bow", "kick")])
def test_soft_suppression_is_the_published_one(sigma: float, labels: tuple[str, ...]) -> None:
    segments = _random_segments(40, 2, labels)
    found = non_maximum_suppression(segments, sigma=sigma, min_score=0.05)
    expected = _reference_soft_nms(segments, sigma, 0.05)
    assert [(s.start_seconds, s.end_seconds, s.label) for s in found] == [
        (s.start_seconds, s.end_seconds, s.label) for s, _ in expected
    ]
    np.testing.assert_allclose([s.score for s in found], [score for _, score in expected], rtol=1e-12)
    assert 1 < len(found) < len(segments)
    assert non_maximum_suppression(segments, sigma=sigma, max_segments=3) == found[:3]


def test_suppression_refuses_what_makes_no_sense() -> None:
    one = [Segment(0, 1)]
    for options in ({"sigma": 0.0}, {"sigma": math.nan}, {"max_segments": 0}):
        with pytest.raises(ValueError, match="must be"):
            non_maximum_suppression(one, **options)  # type: ignore[arg-type]  # the rules are what is tested
    with pytest.raises(ValueError, match="scores"):
        non_maximum_suppression([Segment(0, 1, -0.5)])
    assert non_maximum_suppression([]) == []


def test_distinct_segments_overlap_no_better_one_by_half() -> None:
    best, much_alike, half, apart = Segment(0, 4), Segment(0, 5), Segment(2, 4), Segment(2.5, 4.5)
    assert distinct_segments([best, much_alike, half, apart]) == [best, half]  # half overlaps by exactly a half
    assert distinct_segments([much_alike, half, apart, best]) == [much_alike, half]
    segments = _random_segments(60, 3, ("bow", "kick"))
    kept = distinct_segments(segments, 0.3)
    for position, segment in enumerate(segments):
        better = [other for other in kept if other in segments[:position]]
        assert (segment in kept) == all(_iou(segment, other) <= 0.3 for other in better)
    assert distinct_segments([]) == []


def test_candidates_join_every_start_with_every_later_end() -> None:
    start = np.array([0.9, 0.1, 0.2, 0.1, 0.0, 0.0])
    end = np.array([0.0, 0.0, 0.0, 0.3, 0.1, 0.8])
    inside = np.array([0.5, 1.0, 0.7, 0.6, 0.1, 0.2])
    times = np.array([0.25, 1.0, 2.0, 3.0, 4.5, 6.0])
    found = boundary_proposals(start, end, inside, times)
    # Starts: 0 (highest), 2 (peak). Ends: 3 (peak), 5 (highest).
    expected = {
        (0.25, 6.0): 0.9 * 0.8 * inside.mean(),
        (0.25, 3.0): 0.9 * 0.3 * inside[:4].mean(),
        (2.0, 6.0): 0.2 * 0.8 * inside[2:].mean(),
        (2.0, 3.0): 0.2 * 0.3 * inside[2:4].mean(),
    }
    assert {(s.start_seconds, s.end_seconds): pytest.approx(s.score) for s in found} == expected
    assert all(before.score >= after.score for before, after in pairwise(found))
    limited = boundary_proposals(start, end, inside, times, min_seconds=1.5, max_seconds=4.0)
    assert {(s.start_seconds, s.end_seconds) for s in limited} == {(0.25, 3.0), (2.0, 6.0)}
    assert boundary_proposals(start, end, inside, times, max_proposals=2) == found[:2]


def test_moments_above_half_of_the_highest_are_candidates_too() -> None:
    plateau = np.array([0.0, 0.6, 0.7, 0.6, 0.3, 0.31, 0.3])
    last = np.eye(7)[6]
    found = boundary_proposals(plateau, last, np.ones(7), np.arange(7.0))
    assert sorted(s.start_seconds for s in found) == [1, 2, 3, 5]


def test_no_boundaries_give_no_candidates() -> None:
    nothing = np.zeros(5)
    assert boundary_proposals(nothing, np.ones(5), np.ones(5), np.arange(5.0)) == []
    assert boundary_proposals(*[np.empty(0)] * 4) == []
    late_start, early_end = np.eye(5)[4], np.eye(5)[0]
    assert boundary_proposals(late_start, early_end, np.ones(5), np.arange(5.0)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": np.zeros(4)}, "one for each of the 5 times"),
        ({"end": np.full(5, 1.5)}, "from 0 to 1"),
        ({"actionness": np.full(5, np.nan)}, "from 0 to 1"),
        ({"times_seconds": np.array([0.0, 1.0, 1.0, 2.0, 3.0])}, "rising"),
        ({"min_seconds": 3.0, "max_seconds": 2.0}, "min_seconds"),
        ({"max_proposals": 0}, "max_proposals"),
    ],
)
def test_candidates_of_damaged_probabilities_are_refused(change: dict[str, object], message: str) -> None:
    arguments = {"start": np.ones(5), "end": np.ones(5), "actionness": np.ones(5), "times_seconds": np.arange(5.0)}
    with pytest.raises(ValueError, match=message):
        boundary_proposals(**(arguments | change))  # type: ignore[arg-type]  # the rules are what is tested


@pytest.mark.parametrize("num", [0, 1, 2, 4, 5, 30, 100])
@pytest.mark.parametrize("limits", [(1.0, math.inf), (2.0, 5.0), (3.0, 3.0), (0.01, 99.0)])
def test_uniform_segments_are_as_many_as_asked_for_and_lie_in_the_video_and_the_limits(
    num: int, limits: tuple[float, float]
) -> None:
    found = uniform_proposals(12.5, num, min_seconds=limits[0], max_seconds=limits[1])
    assert len(found) == len({(s.start_seconds, s.end_seconds) for s in found}) == num
    bounds = segment_bounds(found)
    assert (bounds >= 0).all() and (bounds <= 12.5 + 1e-9).all()
    lengths = bounds[:, 1] - bounds[:, 0]
    assert (lengths >= limits[0] - 1e-9).all() and (lengths <= limits[1] + 1e-9).all()
    np.testing.assert_allclose([s.score for s in found], [1 - k / num for k in range(num)])


def test_uniform_segments_reach_every_action_between_the_limits() -> None:
    """And the first ten of them spread over the same lengths and places."""
    found = uniform_proposals(16.0, 100, min_seconds=2.0, max_seconds=7.0)
    rng = np.random.default_rng(0)
    lengths = rng.uniform(2.0, 7.0, 1000)
    starts = rng.uniform(0, 16.0 - lengths)
    overlap = temporal_iou(np.stack([starts, starts + lengths], axis=1), segment_bounds(found))
    assert overlap.max(axis=1).min() > 0.7
    assert (overlap[:, :10].max(axis=1) > 0.5).mean() > 0.5


def test_uniform_segments_of_short_videos_are_those_that_fit() -> None:
    assert uniform_proposals(4.0, 100, min_seconds=4.0) == [Segment(0.0, 4.0)]
    assert uniform_proposals(3.9, 100, min_seconds=4.0) == []
    (single,) = uniform_proposals(10.0, 1, min_seconds=1.0, max_seconds=4.0)
    assert (single.start_seconds, single.end_seconds) == pytest.approx((3.0, 7.0))


@pytest.mark.parametrize(
    ("duration", "num", "limits"),
    [
        (0.0, 3, (1, 2)), (math.inf, 3, (1, 2)), (math.nan, 3, (1, 2)), (1.0, -1, (1, 2)),
        (5.0, 3, (0, 2)), (5.0, 3, (3, 2)), (5.0, 3, (math.nan, 2)),
    ],
)  # fmt: skip
def test_uniform_segments_of_nonsense_are_refused(duration: float, num: int, limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        uniform_proposals(duration, num, min_seconds=limits[0], max_seconds=limits[1])


def test_candidates_of_a_long_video_are_looked_for_within_the_longest_action_alone() -> None:
    """Each of 3000 starts with each later end would take a hundred megabytes; of hours, more than there is."""
    start = np.tile([0.9, 0.1], 3000)
    times = 0.5 * np.arange(6000)
    tracemalloc.start()
    try:
        found = boundary_proposals(start, 1 - start, np.ones(6000), times, max_seconds=2.0, max_proposals=None)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20 << 20
    lengths = [segment.end_seconds - segment.start_seconds for segment in found]
    assert set(lengths) == {0.5, 1.5} and len(found) == 2 * 3000 - 1
