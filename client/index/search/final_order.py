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
    numbers, rows, videos = candidates.numbers, candidates.rows, candidates.videos
    scores, clips = batch.exact_scores(numbers, rows, vectors)
    order = np.lexsort((rows, -scores, numbers))
    if min_score is not None:
        order = order[scores[order] >= min_score]
    if by_video:
        order = order[_first_of_each(numbers[order], videos[order])]
    bounds = np.searchsorted(numbers[order], np.arange(len(batch) + 1)).tolist()
    in_question = (scores[order[1:]] == scores[order[:-1]]) & (videos[order[1:]] != videos[order[:-1]])
    answers = []
    for begin, end in pairwise(bounds):
        chosen = order[begin:end]
        if in_question[begin : max(begin, end - 1)].any():
            chosen = _with_ties_in_order(chosen, rows, scores, sort_keys, offset + top)
        chosen = chosen[offset : offset + top]
        answers.append(Answer(rows[chosen], videos[chosen], scores[chosen], clips[chosen]))
    return answers


def _first_of_each(numbers: NDArray[np.int64], videos: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each video appears first among the answers of a query."""
    order = np.lexsort((videos, numbers))  # stable
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (numbers[order[1:]] != numbers[order[:-1]]) | (videos[order[1:]] != videos[order[:-1]])
    return np.sort(order[is_first])


def _with_ties_in_order(
    order: NDArray[np.int64],
    rows: NDArray[np.int64],
    scores: NDArray[np.float64],
    sort_keys: SortKeys,
    wanted: int,
) -> NDArray[np.int64]:
    """The best `wanted`, those of equal score by key, and of equal key by row."""
    if len(order) > wanted:  # those that tie with the last wanted one are in question too
        order = order[: np.searchsorted(-scores[order], -scores[order[wanted - 1]], side="right")]
    equal = scores[order[1:]] == scores[order[:-1]]
    is_tied = np.append(equal, False) | np.append(False, equal)
    tied = order[is_tied]
    if not len(tied):
        return order
    keys = sort_keys(rows[tied])
    ranked = sorted(range(len(tied)), key=lambda n: (-scores[tied[n]], keys[n], rows[tied[n]]))
    order = order.copy()
    order[is_tied] = tied[ranked]
    return order
