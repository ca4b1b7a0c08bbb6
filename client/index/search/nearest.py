"""Moments like those of a query: exact cosine search over clips, and its grouping by video."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.records import Moment
from cocon.client.index.search.hits import Grouping, Hit, check_grouping

__all__ = ["nearest"]

# Clips fetched per query clip at first; more only when several of the best are of one video.
_MIN_FETCHED = 64
# Scores that agree to float32's precision count as equal, so that their order is the same on every machine.
_DECIMALS = 6


def nearest(
    index: Any,  # noqa: ANN401  # faiss is untyped
    query: NDArray[np.float32],
    lookup: Callable[[Sequence[int]], Mapping[int, Moment]],
    *,
    top: int,
    grouping: Grouping = "video",
) -> list[Hit]:
    """The best moments for a query.

    Args:
        index: FAISS index of unit vectors under inner product.
        query: Clips of the query, `float32 [Q, D]`, unit length; a moment scores by the most similar of them.
        lookup: Clip ids → what they stand for.
        top: Most hits to return.
        grouping: `video` for the best moment of each video, `moment` for the best moments wherever they are.

    Returns:
        At most `top` hits, exactly the best ones; equal scores in the order of path and time.

    Raises:
        UsageError: There is no such grouping.
    """
    check_grouping(grouping)
    num_fetched = min(index.ntotal, max(_MIN_FETCHED, 4 * top))
    while num_fetched > 0:
        scores, ids = index.search(query, num_fetched)  # [Q, n]
        found = _ranked(*_best_per_clip(scores, ids), lookup, grouping)
        # No moment left out can score more than the last one fetched for its query clip.
        bound = round(float(scores[:, -1].max()), _DECIMALS)
        if num_fetched == index.ntotal or (len(found) >= top and found[top - 1][0] > bound):
            return [_hit(rank, score, moment) for rank, (score, moment) in enumerate(found[:top], start=1)]
        num_fetched = min(index.ntotal, 4 * num_fetched)
    return []


def _best_per_clip(
    scores: NDArray[np.float32], ids: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Each clip found and its best score over the query's clips: `[M]`, `[M]`."""
    order = np.argsort(-scores, axis=None, kind="stable")
    unique, first = np.unique(ids.ravel()[order], return_index=True)
    return scores.ravel()[order][first], unique


def _ranked(
    scores: NDArray[np.float32],
    ids: NDArray[np.int64],
    lookup: Callable[[Sequence[int]], Mapping[int, Moment]],
    grouping: Grouping,
) -> list[tuple[float, Moment]]:
    moments = lookup(ids.tolist())
    pairs = [
        (round(score, _DECIMALS), moments[clip])
        for score, clip in zip(scores.tolist(), ids.tolist(), strict=True)
        if clip in moments
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1].video, pair[1].start_seconds))
    if grouping == "moment":
        return pairs
    best: dict[str, tuple[float, Moment]] = {}
    for score, moment in pairs:
        best.setdefault(moment.video, (score, moment))
    return list(best.values())


def _hit(rank: int, score: float, moment: Moment) -> Hit:
    clipped = min(1.0, max(-1.0, score))  # rounding in the dot product may pass 1
    start_seconds, end_seconds = round(moment.start_seconds, _DECIMALS), round(moment.end_seconds, _DECIMALS)
    return Hit(rank, moment.video, start_seconds, end_seconds, clipped, moment.label)
