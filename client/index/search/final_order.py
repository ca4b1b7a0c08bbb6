"""From candidates to answers: scored again in float64, grouped, in an order that is the same on every machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.still_wanted import Candidates, Wanted
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
    wanted: Wanted,
    *,
    offset: int,
) -> list[Answer]:
    """The answers to each query.

    Args:
        batch: What was asked.
        candidates: All that could be among the best.
        vectors: Of all rows, `float32 [R, D]`.
        sort_keys: Puts videos of equal score in order; their rows by themselves are in the order of time.
        wanted: Of each query.
        offset: How many of them are left out at the front.
    """
    numbers, rows, videos = candidates.numbers, candidates.rows, candidates.videos
    scores, clips = batch.exact_scores(numbers, rows, vectors)
    order = np.lexsort((rows, -scores, numbers)) if len(batch) > 1 else np.lexsort((rows, -scores))
    if wanted.min_score is not None:
        order = order[scores[order] >= wanted.min_score]
    if wanted.by_video:
        order = order[_first_of_each(numbers[order] * (1 << 40) + videos[order])]
    numbers, rows, videos, scores, clips = (part[order] for part in (numbers, rows, videos, scores, clips))
    in_question = (scores[1:] == scores[:-1]) & (videos[1:] != videos[:-1])
    is_in_question = bool(in_question.any())
    answers = []
    for begin, end in pairwise(np.searchsorted(numbers, np.arange(len(batch) + 1)).tolist()):
        chosen = slice(begin + offset, min(begin + wanted.count, end))
        if is_in_question and in_question[begin : max(begin, end - 1)].any():
            moved = begin + _with_ties_in_order(rows[begin:end], scores[begin:end], sort_keys, wanted.count)
            chosen = moved[offset : wanted.count]
        answers.append(Answer(rows[chosen], videos[chosen], scores[chosen], clips[chosen]))
    return answers


def _first_of_each(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each key appears first, rising: `int64 [u]`."""
    order = np.argsort(keys, kind="stable")
    is_first = np.ones(len(order), np.bool_)
    np.not_equal(keys[order[1:]], keys[order[:-1]], out=is_first[1:])
    first = order[is_first]
    first.sort()
    return first


def _with_ties_in_order(
    rows: NDArray[np.int64], scores: NDArray[np.float64], sort_keys: SortKeys, wanted: int
) -> NDArray[np.int64]:
    """Order of the best `wanted` of rows in the order of their scores: equal ones by key, and of equal key by row."""
    if len(rows) > wanted:  # those that tie with the last wanted one are in question too
        rows = rows[: np.searchsorted(-scores, -scores[wanted - 1], side="right")]
    scores = scores[: len(rows)]
    equal = scores[1:] == scores[:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    order = np.arange(len(rows))
    if len(tied):
        keys = sort_keys(rows[tied])
        order[tied] = tied[sorted(range(len(tied)), key=lambda n: (-scores[tied[n]], keys[n], rows[tied[n]]))]
    return order
