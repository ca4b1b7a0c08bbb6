"""From candidates to answers: scored again in float64, grouped, in an order that is the same on every machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.scan import Candidates
from cocon.client.index.search.vector_query import QueryBatch

__all__ = ["Answer", "SortKeys", "answers_of"]

# Row numbers `int64 [n]` → n values that can be compared, such as paths, which put rows of equal score in order.
SortKeys = Callable[[NDArray[np.int64]], Sequence[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a query found, the best first.

    Attributes:
        rows: `int64 [n]`.
        videos: Position of each row's video in the row table: `int64 [n]`.
        scores: To six decimals, `float64 [n]`.
        query_clips: Which of the query's vectors is most similar, counted through all its groups: `int64 [n]`.
    """

    rows: NDArray[np.int64]
    videos: NDArray[np.int64]
    scores: NDArray[np.float64]
    query_clips: NDArray[np.int64]


def answers_of(
    batch: QueryBatch,
    candidates: Candidates,
    vectors: NDArray[np.float32],
    sort_keys: SortKeys,
    *,
    offset: int,
    top: int,
    by_video: bool,
    min_score: float | None,
) -> list[Answer]:
    """The answers to each query.

    Args:
        batch: What was asked.
        candidates: All that could be among the best.
        vectors: Of all rows, `float32 [R, D]`.
        sort_keys: Puts videos of equal score in order; their rows by themselves are in the order of time.
        offset: Answers left out at the front.
        top: Most answers after them.
        by_video: Whether only the best row of a video is an answer.
        min_score: Lower ones are no answers.
    """
    scores, clips = batch.exact_scores(candidates.numbers, candidates.rows, vectors)
    bounds = np.searchsorted(candidates.numbers, np.arange(len(batch) + 1)).tolist()
    answers = []
    for begin, end in pairwise(bounds):
        part = slice(begin, end)
        rows, videos = candidates.rows[part], candidates.videos[part]
        order = np.lexsort((rows, -scores[part]))
        if min_score is not None:
            order = order[scores[part][order] >= min_score]
        if by_video:
            order = order[np.sort(np.unique(videos[order], return_index=True)[1])]
        order = _with_ties_in_order(order, rows, videos, scores[part], sort_keys, offset + top)[offset : offset + top]
        answers.append(Answer(rows[order], videos[order], scores[part][order], clips[part][order]))
    return answers


def _with_ties_in_order(
    order: NDArray[np.int64],
    rows: NDArray[np.int64],
    videos: NDArray[np.int64],
    scores: NDArray[np.float64],
    sort_keys: SortKeys,
    wanted: int,
) -> NDArray[np.int64]:
    """The best `wanted`, those of equal score by key; the order within a video stays."""
    sorted_scores = scores[order]
    if len(order) > wanted:  # those that tie with the last wanted one are in question too
        order = order[: np.searchsorted(-sorted_scores, -sorted_scores[wanted - 1], side="right")]
        sorted_scores = sorted_scores[: len(order)]
    equal = sorted_scores[1:] == sorted_scores[:-1]
    if not equal.any() or not (equal & (videos[order][1:] != videos[order][:-1])).any():
        return order
    is_tied = np.append(equal, False) | np.append(False, equal)
    tied = order[is_tied]
    keys = sort_keys(rows[tied])
    ranked = sorted(range(len(tied)), key=lambda n: (-scores[tied[n]], keys[n], rows[tied[n]]))
    order[is_tied] = tied[ranked]
    return order
