"""Actions located by one view, or by several together, in videos whose true actions are known; and how good that is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import VideoError
from cocon.embedding.fusion import fuse_probabilities
from cocon.embedding.locating.detection import find_segments, label_segments, segment_embeddings
from cocon.embedding.locating.proposals import Segment
from cocon.training.annotations.activitynet import UntrimmedVideo
from cocon.training.boundary_head.learning import BlockSequence
from cocon.training.evaluation.locating.figures import TIOU_THRESHOLDS, average_recall, mean_average_precision
from cocon.training.evaluation.recognition.probe import LinearProbe, fit_probe

__all__ = ["MAX_SEGMENTS", "BoundaryPredictions", "fit_segment_probe", "learned_segments", "localization_figures"]

# Those of the challenge: proposals of a video, and labels of a proposal.
MAX_SEGMENTS = 100
_TOP_CLASSES = 2
# So many find most of a short video whatever they know; few do not.
_RECALL_AT = (1, 10, MAX_SEGMENTS)


@dataclass(frozen=True, slots=True)
class BoundaryPredictions:
    """What one view says of the videos that it is evaluated on.

    Attributes:
        sequences: video id → blocks.
        boundaries: video id → probabilities of start, end and actionness, `float64 [L, 3]`.
        probe: names what a mean of blocks shows.
    """

    sequences: Mapping[str, BlockSequence] = field(repr=False)
    boundaries: Mapping[str, NDArray[np.float64]] = field(repr=False)
    probe: LinearProbe = field(repr=False)


def fit_segment_probe(videos: Iterable[UntrimmedVideo], sequences: Mapping[str, BlockSequence]) -> LinearProbe:
    """A linear probe on the mean blocks of the true segments of some videos; videos without blocks are passed over.

    Raises:
        VideoError: what is left shows fewer than two classes.
    """
    vectors, labels, groups = [], [], []
    for video in videos:
        if video.segments and (sequence := sequences.get(video.video_id)) is not None:
            vectors.append(segment_embeddings(sequence.blocks, sequence.times_seconds, video.segments))
            labels += [segment.label for segment in video.segments]
            groups += [video.video_id] * len(video.segments)
    if len(set(labels)) < 2:
        raise VideoError(f"training videos that can be read show {len(set(labels))} classes, a probe needs two")
    return fit_probe(np.concatenate(vectors), np.array(labels), np.array(groups))


def learned_segments(
    views: Mapping[str, BoundaryPredictions], video_id: str, *, min_seconds: float, max_seconds: float
) -> list[Segment]:
    """Segments of a video from the mean of the views' boundary probabilities."""
    boundaries = fuse_probabilities({view: predictions.boundaries[video_id] for view, predictions in views.items()})
    sequence = next(iter(views.values())).sequences[video_id]  # the same moments in all views
    return find_segments(
        boundaries,
        sequence.times_seconds,
        duration_seconds=sequence.duration_seconds,
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        max_segments=MAX_SEGMENTS,
    )


def localization_figures(
    views: Mapping[str, BoundaryPredictions],
    segments: Mapping[str, Sequence[Segment]],
    truths: Mapping[str, Sequence[Segment]],
) -> dict[str, float]:
    """Figures of ActivityNet's challenge, per cent.

    Args:
        views: view → what it knows; they name the segments together.
        segments: video id → segments with scores and without labels.
        truths: video id → true segments; at least one of them has some.
    """
    detections = {video_id: _detections(views, video_id, found) for video_id, found in segments.items()}
    recall = average_recall(segments, truths, MAX_SEGMENTS)
    precision = mean_average_precision(detections, truths)
    at = dict(zip(TIOU_THRESHOLDS, precision.tolist(), strict=True))
    return {
        **{f"AR@{number}": recall.at(number) for number in _RECALL_AT},
        "AUC": recall.auc,
        "mAP@0.5": at[0.5],
        "mAP@0.75": at[0.75],
        "mAP": float(precision.mean()),
    }


def _detections(views: Mapping[str, BoundaryPredictions], video_id: str, segments: Sequence[Segment]) -> list[Segment]:
    if not segments:
        return []
    probabilities = {}
    for view, predictions in views.items():
        sequence = predictions.sequences[video_id]
        vectors = segment_embeddings(sequence.blocks, sequence.times_seconds, segments)
        probabilities[view] = predictions.probe.probabilities(vectors)  # [S, K]
    classes = [str(name) for name in next(iter(views.values())).probe.model.classes_]
    return label_segments(segments, fuse_probabilities(probabilities), classes, top=_TOP_CLASSES)
