"""How well a target's box was followed: the one-pass evaluation of OTB.

Source: Wu, Lim and Yang, Online Object Tracking: A Benchmark (CVPR 2013), section 4. A tracker is started once, with
the true box of the first frame. That frame counts, as it does in the benchmark's own toolkit.

Boxes are x, y, width, height in pixels, `float64 [F, 4]`; a row of NaN is a frame in which nothing is known, or seen,
of the target. Such frames of the truth do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CENTRE_ERRORS_PX",
    "OVERLAPS",
    "TrackingScores",
    "centre_errors_px",
    "mean_scores",
    "motionless",
    "one_pass_scores",
    "overlaps",
]

Boxes = NDArray[np.float64]

# Thresholds of the two curves.
OVERLAPS: NDArray[np.float64] = np.arange(21) / 20
CENTRE_ERRORS_PX: NDArray[np.float64] = np.arange(51.0)
_PRECISION_AT_PX = 20


@dataclass(frozen=True, slots=True)
class TrackingScores:
    """Of one video, or the means over several.

    Attributes:
        success: share of frames whose overlap is larger than each of `OVERLAPS`, `float64 [21]`.
        precision: share of frames whose centre is at most as far off as each of `CENTRE_ERRORS_PX`, `float64 [51]`.
    """

    success: NDArray[np.float64]
    precision: NDArray[np.float64]

    @property
    def success_auc(self) -> float:
        """Area under the success curve, taken as the benchmark does: the mean over its thresholds; 0..1.

        Since no overlap is larger than 1, it is 20/21 at most.
        """
        return float(self.success.mean())

    @property
    def precision_at_20_px(self) -> float:
        """Share of frames whose centre is at most 20 pixels off."""
        return float(self.precision[_PRECISION_AT_PX])


def one_pass_scores(found: Boxes, truth: Boxes) -> TrackingScores:
    """Both curves of one video.

    Args:
        found: a tracker's boxes, `float64 [F, 4]`; a row of NaN is a miss at every threshold.
        truth: the true ones, `float64 [F, 4]`; frames of NaN do not count.

    Raises:
        ValueError: the shapes differ, or there is no true box.
    """
    if found.shape != truth.shape or truth.ndim != 2 or truth.shape[1] != 4:
        raise ValueError(f"boxes must be [F, 4] twice, are {list(found.shape)} and {list(truth.shape)}")
    is_known = ~np.isnan(truth).any(axis=1)
    if not is_known.any():
        raise ValueError("no frame has a true box")
    found, truth = found[is_known], truth[is_known]
    # Comparisons with NaN are false: a frame without a box is a miss.
    success = overlaps(found, truth)[:, None] > OVERLAPS  # [F, 21]
    precision = centre_errors_px(found, truth)[:, None] <= CENTRE_ERRORS_PX  # [F, 51]
    return TrackingScores(success.mean(axis=0), precision.mean(axis=0))


def overlaps(found: Boxes, truth: Boxes) -> NDArray[np.float64]:
    """Intersection over union of each pair of boxes `float64 [F, 4]`: `float64 [F]`, NaN where a box is."""
    starts = np.maximum(found[:, :2], truth[:, :2])
    ends = np.minimum(found[:, :2] + found[:, 2:], truth[:, :2] + truth[:, 2:])
    shared = np.clip(ends - starts, 0.0, None).prod(axis=1)
    return shared / (found[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - shared)


def centre_errors_px(found: Boxes, truth: Boxes) -> NDArray[np.float64]:
    """Distance between the centres of each pair of boxes `float64 [F, 4]`: `float64 [F]`, NaN where a box is."""
    offsets = (found[:, :2] + found[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
    return np.hypot(offsets[:, 0], offsets[:, 1])


def mean_scores(scores: Sequence[TrackingScores]) -> TrackingScores:
    """Means over videos, each of which counts the same, however long.

    Raises:
        ValueError: there is none.
    """
    if not scores:
        raise ValueError("there is no video to take the mean of")
    return TrackingScores(
        np.mean([each.success for each in scores], axis=0), np.mean([each.precision for each in scores], axis=0)
    )


def motionless(truth: Boxes) -> Boxes:
    """What a tracker gives that does nothing: the first true box in every frame, `float64 [F, 4]`."""
    return np.broadcast_to(truth[:1], truth.shape).copy()
