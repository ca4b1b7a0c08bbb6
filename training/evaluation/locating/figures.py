"""Figures of temporal action localisation, as ActivityNet's challenge defines them.

Proposals and detections are given per video, by its id, and compared with the true segments there; all figures are in
per cent. After `eval_proposal.py` and `eval_detection.py` of the challenge (Caba Heilbron et al., CVPR 2015).

    curve = average_recall(proposals, truths)      # curve.at(100), curve.auc
    mean_average_precision(detections, truths)     # at tIoU 0.5, 0.55, …, 0.95; their mean is the challenge's figure
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.locating.proposals import Segment, segment_bounds, temporal_iou

__all__ = ["TIOU_THRESHOLDS", "RecallCurve", "average_recall", "mean_average_precision"]

TIOU_THRESHOLDS: tuple[float, ...] = tuple(hundredths / 100 for hundredths in range(50, 100, 5))

_Truths = Mapping[str, Sequence[Segment]]


@dataclass(frozen=True, slots=True)
class RecallCurve:
    """Average recall against the average number of proposals of a video.

    Attributes:
        average_recall: AR in per cent at 1, 2, …, M proposals, `float64 [M]`.
    """

    average_recall: NDArray[np.float64]

    def at(self, num_proposals: int) -> float:
        """AR@AN: average recall in per cent at so many proposals of a video on average, from 1 to M.

        Raises:
            ValueError: the curve does not reach there.
        """
        if not 1 <= num_proposals <= len(self.average_recall):
            raise ValueError(f"num_proposals ({num_proposals}) must be from 1 to {len(self.average_recall)}")
        return float(self.average_recall[num_proposals - 1])

    @property
    def auc(self) -> float:
        """Area under the curve as a share of M, in per cent.

        The curve begins at one proposal, so the challenge's figure is 99, not 100, where everything is found at once.
        """
        heights = self.average_recall
        return float((heights[1:] + heights[:-1]).sum() / 2 / len(heights))


def average_recall(
    proposals: Mapping[str, Sequence[Segment]], truths: _Truths, max_per_video: int = 100
) -> RecallCurve:
    """How much of the truth is found by few proposals, averaged over the tIoU thresholds 0.5, 0.55, …, 0.95.

    As the challenge does: at AN = j every video takes part with the same share of its proposals, its best ones, so that
    a video has j on average, whatever the numbers of single ones; truth is found where any of them overlaps it by the
    threshold. Numbers of proposals are exact (the challenge's code rounds some of them down by one).

    Args:
        proposals: video id → segments with scores; those of videos without truth do not count.
        truths: video id → true segments.
        max_per_video: M, the end of the curve.

    Raises:
        ValueError: there are no true segments, or M is not positive.
    """
    if max_per_video < 1:
        raise ValueError(f"max_per_video ({max_per_video}) must be at least 1")
    videos = [video for video, segments in truths.items() if segments]
    if not videos:
        raise ValueError("truths must hold at least one segment")
    ranked = {video: sorted(proposals.get(video, ()), key=lambda segment: -segment.score) for video in videos}
    most = max_per_video * len(videos)
    total = sum(map(len, ranked.values()))
    ranked = {video: segments[: len(segments) * most // max(total, most)] for video, segments in ranked.items()}
    total = sum(map(len, ranked.values()))
    steps = np.arange(1, max_per_video + 1)
    found = np.zeros((len(TIOU_THRESHOLDS), max_per_video))
    for video, segments in ranked.items():
        if segments:
            counts = np.minimum(len(segments) * steps * len(videos) // total, len(segments))  # [M]
            found += _num_found(segments, truths[video])[:, counts]
    num_truths = sum(len(truths[video]) for video in videos)
    return RecallCurve(100 * found.mean(axis=0) / num_truths)


def mean_average_precision(
    detections: Mapping[str, Sequence[Segment]], truths: _Truths, tiou: Sequence[float] = TIOU_THRESHOLDS
) -> NDArray[np.float64]:
    """Interpolated average precision of every class, averaged over the classes of the truth.

    From the best score down, a detection is right if it overlaps a true segment of its class in its video by the
    threshold that no better detection has taken, the one it overlaps most; else it is a false alarm. Of equal scores
    the earlier comes first. Detections of other classes than the truth's do not count.

    Args:
        detections: video id → segments with scores and labels.
        truths: video id → true segments with labels.
        tiou: thresholds.

    Returns:
        mAP in per cent at each threshold, `float64 [len(tiou)]`.

    Raises:
        ValueError: there are no true segments, or a threshold is not above 0 and at most 1.
    """
    if not all(0 < threshold <= 1 for threshold in tiou):
        raise ValueError(f"tiou ({', '.join(map(str, tiou))}) must be above 0 and at most 1")
    of_class, detected = _by_label(truths), _by_label(detections)
    if not of_class:
        raise ValueError("truths must hold at least one segment")
    thresholds = np.array(tiou, np.float64)
    precisions = [_average_precision(detected.get(label, {}), of_class[label], thresholds) for label in of_class]
    return 100 * np.mean(precisions, axis=0)


def _num_found(segments: Sequence[Segment], truths: Sequence[Segment]) -> NDArray[np.int64]:
    """True segments found by the first 0, 1, … segments at each threshold, `int64 [thresholds, S + 1]`."""
    overlap = temporal_iou(segment_bounds(segments), segment_bounds(truths))  # [S, G]
    best = np.maximum.accumulate(overlap, axis=0)
    found = (best >= np.array(TIOU_THRESHOLDS)[:, None, None]).sum(axis=2)  # [thresholds, S]
    return np.pad(found, ((0, 0), (1, 0)))


def _by_label(videos: Mapping[str, Sequence[Segment]]) -> dict[str, dict[str, list[Segment]]]:
    """Label → video → segments."""
    found: dict[str, dict[str, list[Segment]]] = defaultdict(lambda: defaultdict(list))
    for video, segments in videos.items():
        for segment in segments:
            found[segment.label][video].append(segment)
    return found


def _average_precision(
    detections: Mapping[str, Sequence[Segment]], truths: _Truths, thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of one class at each threshold, 0 to 1."""
    ranked = sorted(
        ((segment, video) for video, segments in detections.items() for segment in segments),
        key=lambda pair: -pair[0].score,
    )
    is_taken = {video: np.zeros((len(thresholds), len(segments)), bool) for video, segments in truths.items()}
    bounds = {video: segment_bounds(segments) for video, segments in truths.items()}
    is_right = np.zeros((len(thresholds), len(ranked)), bool)
    for rank, (segment, video) in enumerate(ranked):
        if video in truths:
            overlap = temporal_iou(segment_bounds([segment]), bounds[video])[0]  # [G]
            is_right[:, rank] = _take(overlap, is_taken[video], thresholds)
    num_truths = sum(map(len, truths.values()))
    return np.array([_area_under_envelope(row, num_truths) for row in is_right])


def _take(
    overlap: NDArray[np.float64], is_taken: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Take the free true segment of the largest overlap where it reaches the threshold: `bool [thresholds]`."""
    free = np.where(is_taken, -1.0, overlap)  # [thresholds, G]
    best = free.argmax(axis=1)
    rows = np.arange(len(thresholds))
    is_match = free[rows, best] >= thresholds
    is_taken[rows[is_match], best[is_match]] = True
    return is_match


def _area_under_envelope(is_right: NDArray[np.bool_], num_truths: int) -> float:
    """Area under the precision-recall curve, precision being the best at that recall or beyond."""
    precision = is_right.cumsum() / np.arange(1, len(is_right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[is_right].sum() / num_truths)
