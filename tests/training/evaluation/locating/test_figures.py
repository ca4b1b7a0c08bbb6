"""Temporal localisation: the figures are ActivityNet's, restated literally, and what they must be by hand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from cocon.embedding.locating.proposals import Segment
from cocon.training.evaluation.locating.figures import TIOU_THRESHOLDS, average_recall, mean_average_precision

Videos = Mapping[str, Sequence[Segment]]

LABELS = ("bow", "kick", "wave")
TRUTHS = {
    "a": [Segment(0, 4, label="bow"), Segment(6, 10, label="kick")],
    "b": [Segment(2, 5, label="bow")],
}


def _iou(a: Segment, b: Segment) -> float:
    shared = max(0.0, min(a.end_seconds, b.end_seconds) - max(a.start_seconds, b.start_seconds))
    return shared / (a.end_seconds - a.start_seconds + b.end_seconds - b.start_seconds - shared)


def _draw(num_videos: int, counts: tuple[int, int], seed: int) -> dict[str, list[Segment]]:
    rng = np.random.default_rng(seed)
    return {
        f"video_{video}": [
            Segment(float(start), float(start + length), float(score), LABELS[kind])
            for start, length, score, kind in zip(
                rng.integers(0, 8, count), rng.integers(1, 7, count), rng.random(count), rng.integers(3, size=count),
                strict=True,
            )
        ]
        for video in range(num_videos)
        for count in [int(rng.integers(*counts))]
    }  # fmt: skip


def _reference_average_recall(proposals: Videos, truths: Videos, most: int) -> list[float]:
    """`average_recall_vs_avg_nr_proposals` of ActivityNet's eval_proposal.py, in whole numbers."""
    videos = [video for video in truths if truths[video]]
    total = sum(len(proposals.get(video, [])) for video in videos)
    kept = {}
    for video in videos:
        ordered = sorted(proposals.get(video, []), key=lambda segment: -segment.score)
        kept[video] = ordered[: min(len(ordered) * most * len(videos) // total, len(ordered))]
    total = sum(len(segments) for segments in kept.values())
    averages = []
    for j in range(1, most + 1):
        recalls = []
        for threshold in TIOU_THRESHOLDS:
            matches = 0
            for video in videos:
                count = min(len(kept[video]) * j * len(videos) // total, len(kept[video]))
                matches += sum(any(_iou(p, truth) >= threshold for p in kept[video][:count]) for truth in truths[video])
            recalls.append(matches / sum(len(truths[video]) for video in videos))
        averages.append(100 * sum(recalls) / len(recalls))
    return averages


def _reference_average_precision(detections: Videos, truths: Videos, label: str, threshold: float) -> float:
    """`compute_average_precision_detection` and `interpolated_prec_rec` of ActivityNet's evaluation, line by line."""
    ranked = [(p, video) for video, segments in detections.items() for p in segments if p.label == label]
    ranked.sort(key=lambda pair: -pair[0].score)
    positives = sum(truth.label == label for segments in truths.values() for truth in segments)
    locked: set[tuple[str, int]] = set()
    hits = []
    for detection, video in ranked:
        of_class = [(k, truth) for k, truth in enumerate(truths.get(video, [])) if truth.label == label]
        hit = False
        for k, truth in sorted(of_class, key=lambda pair: -_iou(detection, pair[1])):
            if _iou(detection, truth) < threshold:
                break
            if (video, k) in locked:
                continue
            locked.add((video, k))
            hit = True
            break
        hits.append(hit)
    recall = [0.0, *(sum(hits[: k + 1]) / positives for k in range(len(hits))), 1.0]
    precision = [0.0, *(sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))), 0.0]
    for k in range(len(precision) - 2, -1, -1):
        precision[k] = max(precision[k], precision[k + 1])
    return sum((recall[k] - recall[k - 1]) * precision[k] for k in range(1, len(recall)))


@pytest.mark.parametrize("counts", [(0, 9), (5, 40), (10, 11)])
@pytest.mark.parametrize("most", [10, 100])
def test_average_recall_is_the_challenges(counts: tuple[int, int], most: int) -> None:
    proposals, truths = _draw(6, counts, 0), _draw(8, (0, 4), 1)
    found = average_recall(proposals, truths, most).average_recall
    np.testing.assert_allclose(found, _reference_average_recall(proposals, truths, most), atol=1e-9)
    assert 0 < found[-1] < 100


def test_mean_average_precision_is_the_challenges() -> None:
    for seed in range(4):
        detections, truths = _draw(6, (5, 30), seed), _draw(8, (0, 6), seed + 50)
        labels = sorted({truth.label for segments in truths.values() for truth in segments})
        expected = [
            100 * np.mean([_reference_average_precision(detections, truths, label, tiou) for label in labels])
            for tiou in TIOU_THRESHOLDS
        ]
        found = mean_average_precision(detections, truths)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert found[0] > found[4] > 0


def test_thresholds_are_half_to_95_hundredths() -> None:
    np.testing.assert_allclose(TIOU_THRESHOLDS, np.linspace(0.5, 0.95, 10))


def test_the_truth_itself_finds_everything() -> None:
    np.testing.assert_allclose(mean_average_precision(TRUTHS, TRUTHS), 100)
    curve = average_recall({video: segments * 100 for video, segments in TRUTHS.items()}, TRUTHS)
    assert curve.at(100) == 100
    single = {"a": [Segment(0, 4)], "b": [Segment(0, 4)]}
    assert average_recall(single, single).auc == pytest.approx(99)  # the curve spans 1 to 100


def test_nothing_finds_nothing() -> None:
    for nothing in ({}, {"a": [], "b": []}, {"elsewhere": [Segment(0, 4, label="bow")]}):
        np.testing.assert_array_equal(mean_average_precision(nothing, TRUTHS), 0)
        curve = average_recall(nothing, TRUTHS)
        assert (curve.at(1), curve.at(100), curve.auc) == (0, 0, 0)


def test_a_second_detection_of_one_action_is_a_false_alarm() -> None:
    truths = {"a": [Segment(0, 4, label="bow"), Segment(6, 10, label="bow")]}
    twice = {"a": [Segment(0, 4, 0.9, "bow"), Segment(0, 4, 0.8, "bow"), Segment(6, 10, 0.7, "bow")]}
    # Right, wrong, right: precision 1 up to half of the recall, then 2/3.
    np.testing.assert_allclose(mean_average_precision(twice, truths, [0.5]), 100 * (0.5 + 0.5 * 2 / 3))


def test_a_detection_takes_what_is_left_where_the_best_is_taken() -> None:
    truths = {"a": [Segment(0, 4, label="bow"), Segment(1, 5, label="bow")]}
    detections = {"a": [Segment(0, 4, 0.9, "bow"), Segment(0, 4, 0.8, "bow")]}
    np.testing.assert_allclose(mean_average_precision(detections, truths, [0.5, 0.7]), [100, 50])


def test_label_and_video_must_be_right() -> None:
    of_other_class = {"a": [Segment(0, 4, label="kick")], "b": [Segment(2, 5, label="kick")]}
    np.testing.assert_allclose(mean_average_precision(of_other_class, TRUTHS, [0.5]), 0)
    in_other_video = {"b": [Segment(6, 10, label="kick")], "a": [Segment(0, 4, label="bow")]}
    np.testing.assert_allclose(mean_average_precision(in_other_video, TRUTHS, [0.5]), 100 * (0.5 + 0) / 2)


def test_an_overlap_of_exactly_the_threshold_counts() -> None:
    truths = {"a": [Segment(0, 10, label="bow")]}
    found = mean_average_precision({"a": [Segment(0, 6, label="bow")]}, truths, [0.55, 0.6, 0.65])
    np.testing.assert_allclose(found, [100, 100, 0])
    assert average_recall({"a": [Segment(0, 6)]}, truths).at(1) == pytest.approx(30)  # 0.5, 0.55 and 0.6 of ten


def test_figures_of_no_truth_or_beyond_the_curve_are_refused() -> None:
    for function in (average_recall, mean_average_precision):
        with pytest.raises(ValueError, match="at least one"):
            function({}, {"a": []})
    with pytest.raises(ValueError, match="tiou"):
        mean_average_precision({}, TRUTHS, [0.0])
    with pytest.raises(ValueError, match="max_per_video"):
        average_recall({}, TRUTHS, 0)
    with pytest.raises(ValueError, match="from 1 to 10"):
        average_recall({}, TRUTHS, 10).at(11)
