"""One-pass evaluation against the definition written out, and against cases that can be counted by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.training.evaluation.tracking.figures import (
    TrackingScores,
    centre_errors_px,
    mean_scores,
    motionless,
    one_pass_scores,
    overlaps,
)

Boxes = NDArray[np.float64]
NAN = float("nan")


def _boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    return np.array(rows, np.float64)


def _random_boxes(rng: np.random.Generator, count: int) -> Boxes:
    return np.concatenate([rng.integers(0, 30, (count, 2)), rng.integers(1, 40, (count, 2))], axis=1).astype(float)


def _covered_pixels(box: NDArray[np.float64]) -> set[tuple[int, int]]:
    x, y, width, height = (int(number) for number in box)
    return {(column, row) for column in range(x, x + width) for row in range(y, y + height)}


def _literal_curves(found: Boxes, truth: Boxes) -> tuple[list[float], list[float]]:
    """As the benchmark's toolkit goes about it: frame by frame, threshold by threshold, in pixels."""
    shares, distances = [], []
    for one, other in zip(found, truth, strict=True):
        a, b = _covered_pixels(one), _covered_pixels(other)
        shares.append(len(a & b) / len(a | b))
        # The toolkit's centre is that of the first and the last pixel.
        centres = [(box[0] + (box[2] - 1) / 2, box[1] + (box[3] - 1) / 2) for box in (one, other)]
        distances.append(math.dist(*centres))
    success = [sum(share > step * 0.05 for share in shares) / len(truth) for step in range(21)]
    precision = [sum(distance <= pixels for distance in distances) / len(truth) for pixels in range(51)]
    return success, precision


@pytest.mark.parametrize("seed", range(3))
def test_both_curves_equal_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, truth = _random_boxes(rng, 60), _random_boxes(rng, 60)
    found[:20] = truth[:20] + rng.integers(0, 3, (20, 4))
    scores = one_pass_scores(found, truth)
    success, precision = _literal_curves(found, truth)
    np.testing.assert_allclose(scores.success, success, atol=1e-12)
    np.testing.assert_allclose(scores.precision, precision, atol=1e-12)
    assert scores.success_auc == pytest.approx(sum(success) / 21)
    assert scores.precision_at_20_px == pytest.approx(precision[20])


def test_overlap_and_centre_error_of_boxes_that_are_easily_counted() -> None:
    truth = _boxes((0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10))
    found = _boxes((0, 0, 10, 10), (5, 0, 10, 10), (10, 0, 10, 10), (2.5, 2.5, 5, 5))
    assert overlaps(found, truth).tolist() == [1.0, pytest.approx(1 / 3), 0.0, 0.25]
    assert centre_errors_px(found, truth).tolist() == [0.0, 5.0, 10.0, 0.0]


def test_an_overlap_must_be_larger_than_its_threshold_and_an_error_no_larger() -> None:
    truth = _boxes((0, 0, 10, 10))
    half = one_pass_scores(_boxes((0, 0, 10, 5)), truth)
    assert half.success.tolist() == [1.0] * 10 + [0.0] * 11
    assert one_pass_scores(truth, truth).success.tolist() == [1.0] * 20 + [0.0]
    moved = one_pass_scores(_boxes((20, 0, 10, 10)), truth)
    assert moved.precision.tolist() == [0.0] * 20 + [1.0] * 31
    assert (moved.precision_at_20_px, moved.success_auc) == (1.0, 0.0)


def test_frames_without_a_true_box_do_not_count_and_those_without_a_found_one_are_misses() -> None:
    truth = _boxes((0, 0, 10, 10), (NAN, NAN, NAN, NAN), (5, 5, 10, 10), (9, 9, 4, 4))
    found = _boxes((0, 0, 10, 10), (3, 3, 3, 3), (NAN, NAN, NAN, NAN), (9, 9, 4, 4))
    scores = one_pass_scores(found, truth)
    assert scores.success[:20] == pytest.approx(2 / 3)
    assert scores.precision == pytest.approx(2 / 3)


def test_every_video_counts_the_same_in_the_mean() -> None:
    truth = _boxes(*[(0, 0, 10, 10)] * 9)
    long, short = one_pass_scores(truth, truth), one_pass_scores(truth[:1] + 100, truth[:1])
    mean = mean_scores([long, short])
    assert mean.success.tolist() == [0.5] * 20 + [0.0]
    assert mean.precision_at_20_px == 0.5
    assert mean.success_auc == pytest.approx((long.success_auc + short.success_auc) / 2)
    assert isinstance(mean, TrackingScores)


def test_without_motion_the_first_box_stays() -> None:
    truth = _boxes((0, 0, 10, 10), (5, 0, 10, 10), (20, 0, 10, 10))
    still = motionless(truth)
    assert still.tolist() == [[0, 0, 10, 10]] * 3
    assert one_pass_scores(still, truth).success[0] == pytest.approx(2 / 3)
    still[0] = 7
    assert truth[0, 0] == 0


def test_what_cannot_be_judged_is_refused() -> None:
    truth = _boxes((0, 0, 10, 10), (5, 0, 10, 10))
    with pytest.raises(ValueError, match=r"\[F, 4\] twice, are \[1, 4\] and \[2, 4\]"):
        one_pass_scores(truth[:1], truth)
    with pytest.raises(ValueError, match="no frame has a true box"):
        one_pass_scores(truth, np.full_like(truth, NAN))
    with pytest.raises(ValueError, match="no video"):
        mean_scores([])
