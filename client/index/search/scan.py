"""One pass over rows that leaves every row that could be among the wanted answers, and few others.

Scores are float32 here, and differ from machine to machine. Therefore whatever is not further behind than the batch's
margin is kept, and scored again by whoever decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.row_plan import RowChunk, RowPlan
from cocon.client.index.search.vector_query import QueryBatch

__all__ = ["Candidates", "scan"]

# Products held at once: they stay in the processor's cache.
_CHUNK_PRODUCTS = 1 << 18
_MIN_CHUNK_ROWS, _MAX_CHUNK_ROWS = 4096, 1 << 16
# Rows that are gathered and compared at once stay in the cache as well.
_MAX_GATHERED_VALUES = 1 << 19
_LEAST = np.finfo(np.float32).min


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Pairs of a query and a row, by query.

    Attributes:
        numbers: Of the queries, rising: `int64 [n]`.
        rows: `int64 [n]`.
        videos: Position of each row's video in the row table: `int64 [n]`.
        strange: Rows whose products are no numbers, so their vectors are unsound: `int64 [u]`; they are left out.
    """

    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    videos: NDArray[np.int64]
    strange: NDArray[np.int64]


def scan(
    vectors: NDArray[np.float32],
    plan: RowPlan,
    batch: QueryBatch,
    *,
    wanted: int,
    by_video: bool,
    min_score: float | None = None,
) -> Candidates:
    """Every row that could be one of the best, in one pass.

    Args:
        vectors: Of all rows, `float32 [R, D]`.
        plan: What is scanned.
        batch: What is asked.
        wanted: Answers to each query, at least 1.
        by_video: Whether they are videos, each by its best row, or rows.
        min_score: Lower ones are no answers.
    """
    scanning = _Scan(vectors, plan, batch, wanted, by_video, min_score)
    values = vectors.shape[1]
    max_rows = min(_MAX_CHUNK_ROWS, max(_MIN_CHUNK_ROWS, _CHUNK_PRODUCTS // len(batch.vectors)))
    if plan.rows is not None:
        max_rows = min(max_rows, max(256, _MAX_GATHERED_VALUES // values))
    with np.errstate(invalid="ignore", over="ignore"):  # unsound vectors
        for chunk in plan.chunks(max_rows):
            scanning.take(chunk)
        return scanning.candidates()


class _Scan:
    """What is known so far: for each query the best scores, the floor below which nobody matters, and who passed it."""

    def __init__(
        self,
        vectors: NDArray[np.float32],
        plan: RowPlan,
        batch: QueryBatch,
        wanted: int,
        by_video: bool,
        min_score: float | None,
    ) -> None:
        self._vectors, self._plan, self._batch, self._by_video = vectors, plan, batch, by_video
        least = np.full(len(batch), _LEAST, np.float32)
        self._least = least if min_score is None else np.maximum(least, np.float32(min_score) - batch.margins)  # [Q]
        most = len(plan.first_slots) if by_video else int(plan.num_rows.sum())
        self._wanted = min(wanted, max(1, most))
        self._best = np.full((len(batch), self._wanted), -np.inf, np.float32)
        self._floors = self._least.copy()
        self._excluded = _excluded_slots(plan, batch)
        # Numbers, slots, scores and videos of the plan, chunk by chunk.
        self._passed: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]] = []
        self._strange: list[NDArray[np.int64]] = []

    def take(self, chunk: RowChunk) -> None:
        """Compare the rows of a chunk, and keep those that matter."""
        scores = self._scores(chunk)  # [Q, n]
        peaks = scores.max(axis=1)
        if not np.all(peaks < np.inf):
            self._leave_out_strange(chunk, scores)
            peaks = scores.max(axis=1)
        active = np.flatnonzero(peaks >= self._floors)
        if not len(active):
            return
        if len(active) < len(scores):
            scores, peaks = scores[active], peaks[active]
        if not self._by_video:
            self._raise_floors(active, scores)
            which, slots = np.nonzero(scores >= self._floors[active, None])
            videos = np.searchsorted(self._plan.first_slots, chunk.begin + slots, side="right") - 1
            self._passed.append((active[which], chunk.begin + slots, scores[which, slots], videos))
            return
        starts = self._plan.first_slots[chunk.first : chunk.last] - chunk.begin
        best = np.maximum.reduceat(scores, starts, axis=1) if chunk.is_whole else peaks[:, None]  # [A, v]
        if chunk.is_whole:  # a part of a video counted by itself would count the video twice
            self._raise_floors(active, best)
        which, found = np.nonzero(best >= self._floors[active, None])
        self._pass_rows(chunk, scores, best, active, which, found)

    def candidates(self) -> Candidates:
        """Those who still matter now that all are known."""
        empty = np.zeros(0, np.int64)
        strange = np.unique(np.concatenate(self._strange)) if self._strange else empty
        if not self._passed:
            return Candidates(empty, empty, empty, strange)
        numbers, slots, scores, videos = (np.concatenate(parts) for parts in zip(*self._passed, strict=True))
        order = np.lexsort((slots, numbers))
        numbers, slots, scores, videos = numbers[order], slots[order], scores[order], videos[order]
        bests = scores
        if self._by_video:
            is_first = np.ones(len(numbers), np.bool_)
            is_first[1:] = (numbers[1:] != numbers[:-1]) | (videos[1:] != videos[:-1])
            starts = np.flatnonzero(is_first)
            bests = np.maximum.reduceat(scores, starts)
            floors = self._final_floors(numbers[starts], bests)
            bests = np.repeat(bests, np.diff(starts, append=len(numbers)))
        else:
            floors = self._final_floors(numbers, bests)
        margins = self._batch.margins[numbers]
        kept = (bests >= floors[numbers]) & (scores >= bests - margins)
        slots = slots[kept]
        return Candidates(numbers[kept], self._plan.rows_at(slots), self._plan.videos[videos[kept]], strange)

    def _scores(self, chunk: RowChunk) -> NDArray[np.float32]:
        """Of the chunk's rows, −∞ for those that are no answers: `float32 [Q, n]`."""
        rows = self._plan.vectors_at(self._vectors, chunk)
        scores = self._batch.combined(self._batch.vectors @ rows.T)
        if self._plan.usable is not None:
            usable = self._plan.usable[chunk.begin : chunk.end]
            if not usable.all():
                np.copyto(scores, -np.inf, where=~usable)
        numbers, begins, ends = self._excluded
        if len(numbers):
            since, until = np.searchsorted(ends, chunk.begin, side="right"), np.searchsorted(begins, chunk.end)
            for number, begin, end in zip(
                numbers[since:until].tolist(), begins[since:until].tolist(), ends[since:until].tolist(), strict=True
            ):
                scores[number, max(0, begin - chunk.begin) : end - chunk.begin] = -np.inf
        return scores

    def _leave_out_strange(self, chunk: RowChunk, scores: NDArray[np.float32]) -> None:
        is_strange = ~(scores < np.inf)
        slots = chunk.begin + np.flatnonzero(is_strange.any(axis=0))
        self._strange.append(self._plan.rows_at(slots))
        scores[is_strange] = -np.inf

    def _raise_floors(self, active: NDArray[np.int64], bests: NDArray[np.float32]) -> None:
        """Take the bests `float32 [A, v]` of the active queries into account."""
        known = np.concatenate([self._best[active], bests], axis=1)
        known = np.partition(known, known.shape[1] - self._wanted, axis=1)[:, -self._wanted :]
        self._best[active] = known
        floors = known.min(axis=1) - self._batch.margins[active]
        self._floors[active] = np.maximum(floors, self._least[active])

    def _pass_rows(
        self,
        chunk: RowChunk,
        scores: NDArray[np.float32],
        bests: NDArray[np.float32],
        active: NDArray[np.int64],
        which: NDArray[np.int64],
        found: NDArray[np.int64],
    ) -> None:
        """Keep the rows of the videos found that could be the best of their video."""
        if not len(which):
            return
        begins = np.maximum(self._plan.first_slots[chunk.first + found], chunk.begin)
        ends = np.minimum(
            self._plan.first_slots[chunk.first + found] + self._plan.num_rows[chunk.first + found], chunk.end
        )
        counts = ends - begins
        slots = np.arange(counts.sum()) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
        which_row, found_row = np.repeat(which, counts), np.repeat(found, counts)
        scored = scores[which_row, slots - chunk.begin]
        near = scored >= bests[which_row, found_row] - self._batch.margins[active[which_row]]
        numbers = active[which_row[near]]
        self._passed.append((numbers, slots[near], scored[near], chunk.first + found_row[near]))

    def _final_floors(self, numbers: NDArray[np.int64], bests: NDArray[np.float32]) -> NDArray[np.float32]:
        """By query, from the bests of all that passed, which are in the order of the queries: `float32 [Q]`."""
        floors = self._least.copy()
        bounds = np.searchsorted(numbers, np.arange(len(self._batch) + 1))
        for number, (begin, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
            if end - begin > self._wanted:
                least = np.partition(bests[begin:end], end - begin - self._wanted)[end - begin - self._wanted]
                floors[number] = max(floors[number], least - self._batch.margins[number])
        return floors


def _excluded_slots(plan: RowPlan, batch: QueryBatch) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Number of the query, first slot and one past the last slot of each video that a query leaves out, by slot."""
    found = [
        (number, *plan.slots_of(query.excluded)) for number, query in enumerate(batch.queries) if query.excluded.size
    ]
    if not found:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty
    numbers = np.concatenate([np.full(len(begins), number) for number, begins, _ in found])
    begins = np.concatenate([begins for _, begins, _ in found])
    ends = np.concatenate([ends for _, _, ends in found])
    order = np.argsort(begins, kind="stable")
    return numbers[order], begins[order], ends[order]
