"""From boundary probabilities and class probabilities to actions with a start, an end, a label and a score.

segments = find_segments(probabilities, times_seconds, duration_seconds=9.0)    # BSN's proposals, less alike
vectors = segment_embeddings(blocks, times_seconds, segments)  # what each shows, to be classified
label_segments(segments, class_probabilities, classes)
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.locating.proposals import Segment, boundary_proposals
from cocon.embedding.locating.suppression import non_maximum_suppression
from cocon.embedding.videos.clip_vectors import clip_vectors

__all__ = ["find_segments", "label_segments", "members", "segment_embeddings"]

_CANDIDATES = 10


def find_segments(
    probabilities: NDArray[np.floating[Any]],
    times_seconds: NDArray[np.float64],
    *,
    duration_seconds: float,
    min_seconds: float = 0.0,
    max_seconds: float = math.inf,
    max_segments: int = 100,
) -> list[Segment]:
    """The segments of a video that look most like whole actions.

    What starts at the first moment starts with the video, and what ends at the last one ends with it: moments are
    middles of blocks, none of which lies at an end.

    Args:
        probabilities: of start, end and actionness at L moments, `float [L, 3]`.
        times_seconds: of the moments, rising, `float64 [L]`.
        duration_seconds: of the video.
        min_seconds: segments that are shorter are left out.
        max_seconds: likewise longer ones.
        max_segments: so many of the best, out of ten times as many.

    Returns:
        Without labels, best first; see `boundary_proposals` and `non_maximum_suppression`.
    """
    start, end, actionness = np.clip(probabilities.astype(np.float64), 0.0, 1.0).T
    moments = times_seconds.copy()
    if len(moments) > 1:
        moments[[0, -1]] = 0.0, max(duration_seconds, moments[-1])
    found = boundary_proposals(
        start,
        end,
        actionness,
        moments,
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        max_proposals=_CANDIDATES * max_segments,
    )
    return non_maximum_suppression(found, min_score=0.0, max_segments=max_segments)


def members(times_seconds: NDArray[np.float64], segment: Segment) -> NDArray[np.intp]:
    """Positions of the moments within a segment; where there is none, of the one nearest to its middle."""
    inside = np.flatnonzero((times_seconds >= segment.start_seconds) & (times_seconds <= segment.end_seconds))
    if len(inside):
        return inside
    middle = (segment.start_seconds + segment.end_seconds) / 2
    return np.array([np.abs(times_seconds - middle).argmin()])


def segment_embeddings(
    blocks: NDArray[np.float32],
    times_seconds: NDArray[np.float64],
    segments: Sequence[Segment],
    *,
    num_parts: int = 1,
) -> NDArray[np.float32]:
    """The vector of each segment as if it were a clip of its blocks, of unit length, `float32 [S, P·D]`.

    Args:
        blocks: unit vectors in the order of time, `float32 [L, D]`, L ≥ 1.
        times_seconds: their middles, `float64 [L]`.
        segments: S of them.
        num_parts: P, of the pooling of the vectors that they are compared with.
    """
    found = [clip_vectors(blocks[None, members(times_seconds, segment)], num_parts)[0] for segment in segments]
    return np.array(found, np.float32).reshape(-1, num_parts * blocks.shape[1])


def label_segments(
    segments: Sequence[Segment],
    class_probabilities: NDArray[np.floating[Any]],
    classes: Sequence[str],
    *,
    top: int = 1,
) -> list[Segment]:
    """Each segment once for each of its most probable classes, scored by its score times their probability.

    Args:
        segments: S of them.
        class_probabilities: `float [S, K]`.
        classes: K names.
        top: classes of each segment.

    Returns:
        Best first; of equal scores those of the earlier segment first.
    """
    found = []
    for segment, probabilities in zip(segments, class_probabilities, strict=True):
        for k in np.argsort(-probabilities, kind="stable")[:top]:
            found.append(replace(segment, label=classes[k], score=segment.score * float(probabilities[k])))
    return sorted(found, key=lambda segment: -segment.score)
