"""How much is wanted, and which of the rows found could still be among it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.vector_query import QueryBatch

__all__ = ["Candidates", "Wanted", "still_wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of each query.

    Attributes:
        count: Answers, at least 1.
        by_video: Whether they are videos, each by its best row, or rows.
        min_score: Lower ones are no answers.
    """

    count: int
    by_video: bool
    min_score: float | None = None

    def floors(self, batch: QueryBatch) -> NDArray[np.float32]:
        """Float32 scores below which nobody can be an answer: `float32 [Q]`."""
        return -batch.limits if self.min_score is None else np.float32(self.min_score) - batch.margins


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Pairs of a query and a row, by query and row.

    Attributes:
        numbers: Of the queries, rising: `int64 [n]`.
        rows: `int64 [n]`.
        videos: Position of each row's video in the row table: `int64 [n]`.
    """

    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    videos: NDArray[np.int64]

    def with_others(self, is_kept: NDArray[np.bool_], others: "Candidates", numbers: NDArray[np.int64]) -> "Candidates":
        """Those of some queries from here, the rest from a search for them alone.

        Args:
            is_kept: Whether those of a query are from here, `bool [Q]`.
            others: Their numbers count the queries that are not from here.
            numbers: Of those queries among all: `int64 [o]`.
        """
        kept = is_kept[self.numbers]
        found = np.append(self.numbers[kept], numbers[others.numbers])
        order = np.argsort(found, kind="stable")
        rows, videos = np.append(self.rows[kept], others.rows), np.append(self.videos[kept], others.videos)
        return Candidates(found[order], rows[order], videos[order])


def still_wanted(
    numbers: NDArray[np.int64],
    videos: NDArray[np.int64],
    scores: NDArray[np.float32],
    floors: NDArray[np.float32],
    margins: NDArray[np.float32],
    wanted: Wanted,
) -> NDArray[np.bool_]:
    """Which pairs of a query and a row matter: `bool [n]`.

    Args:
        numbers: Of the query of each pair, rising: `int64 [n]`.
        videos: Of each row, rising within a query: `int64 [n]`.
        scores: `float32 [n]`.
        floors: Below which nobody matters, raised here by what is found: `float32 [Q]`.
        margins: By how much the scores of each query may be off one another, `float32 [Q]`.
        wanted: Of each query.
    """
    owners, bests = numbers, scores
    if wanted.by_video:
        is_first = np.ones(len(numbers), np.bool_)
        is_first[1:] = (numbers[1:] != numbers[:-1]) | (videos[1:] != videos[:-1])
        starts = np.flatnonzero(is_first)
        owners, bests = numbers[starts], np.maximum.reduceat(scores, starts)
    if len(margins) == 1:  # most searches; the same in fewer steps
        if len(bests) >= wanted.count:
            place = len(bests) - wanted.count
            floors[0] = max(floors[0], np.partition(bests, place)[place] - margins[0])
    elif len(bests):
        order = np.argsort(owners * (2.0 * np.abs(bests).max() + 1.0) - bests)  # by query, the best first
        bounds = np.searchsorted(owners, np.arange(len(margins) + 1))
        full = np.flatnonzero(bounds[1:] - bounds[:-1] >= wanted.count)
        least = bests[order[bounds[full] + wanted.count - 1]] - margins[full]
        floors[full] = np.maximum(floors[full], least)
    kept = scores >= (floors[0] if len(margins) == 1 else floors[numbers])
    if wanted.by_video:
        bests -= margins[owners]
        kept &= scores >= bests[np.cumsum(is_first) - 1]
    return kept
