"""Which of many overlapping segments stay: softly for figures, plainly for eyes.

non_maximum_suppression(found, max_segments=100)    # Bodla et al., Soft-NMS, ICCV 2017
distinct_segments(found)                            # none overlaps a better one by more than half
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cocon.embedding.locating.proposals import Segment, segment_bounds, temporal_iou

__all__ = ["distinct_segments", "non_maximum_suppression"]


def non_maximum_suppression(
    segments: Sequence[Segment],
    *,
    sigma: float = 0.5,
    min_score: float = 0.001,
    max_segments: int | None = None,
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


def distinct_segments(segments: Sequence[Segment], max_tiou: float = 0.5) -> list[Segment]:
    """Leave out what overlaps a better segment that stays by more than `max_tiou`, whatever the labels are.

    Args:
        segments: best first.
        max_tiou: from 0 to 1.

    Returns:
        Those that stay, as they are and in their order.
    """
    overlap = temporal_iou(*[segment_bounds(segments)] * 2)  # [S, S]
    kept: list[int] = []
    for position in range(len(segments)):
        if not (overlap[position, kept] > max_tiou).any():
            kept.append(position)
    return [segments[position] for position in kept]
