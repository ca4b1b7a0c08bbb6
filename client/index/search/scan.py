"""One pass over rows that leaves every row that could be among the wanted answers, and few others.

Scores are float32 here, and differ from machine to machine. Therefore whatever is not further behind than the batch's
margin is kept, and scored again by whoever decides.
"""

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.row_plan import RowChunk, RowPlan
from cocon.client.index.search.still_wanted import Candidates, Wanted, still_wanted
from cocon.client.index.search.vector_query import QueryBatch

__all__ = ["scan"]

# Products held at once: they stay in the processor's cache.
_CHUNK_PRODUCTS = 1 << 18
_MIN_CHUNK_ROWS, _MAX_CHUNK_ROWS = 4096, 1 << 16
# Rows that are gathered and compared at once stay in the cache as well.
_MAX_GATHERED_VALUES = 1 << 19
_MIN_GATHERED_ROWS = 256
# Rows kept for each wanted answer before those that matter no more are dropped.
_KEPT_PER_ANSWER = 32
# Of so many rows the best one stands for all when the floor of a chunk is sought.
_STRIDE = 16


def scan(
    vectors: NDArray[np.float32],
    plan: RowPlan,
    batch: QueryBatch,
    wanted: Wanted,
) -> Candidates:
    """Every row that could be one of the best, in one pass.

    Args:
        vectors: Of all rows, `float32 [R, D]`.
        plan: What is scanned.
        batch: What is asked.
        wanted: Of each query.
    """
    max_rows = min(_MAX_CHUNK_ROWS, max(_MIN_CHUNK_ROWS, _CHUNK_PRODUCTS // len(batch.vectors)))
    if plan.rows is not None:
        max_rows = min(max_rows, max(_MIN_GATHERED_ROWS, _MAX_GATHERED_VALUES // vectors.shape[1]))
    scanning = _Scan(vectors, plan, batch, wanted)
    with np.errstate(invalid="ignore", over="ignore"):  # damaged vectors; what is no number is no candidate
        for chunk in plan.chunks(max_rows):
            scanning.take(chunk)
        return scanning.candidates()


class _Scan:
    """For each query the floor below which nobody matters any more, and who passed it when it was lower."""

    def __init__(
        self,
        vectors: NDArray[np.float32],
        plan: RowPlan,
        batch: QueryBatch,
        wanted: Wanted,
    ) -> None:
        self._vectors, self._plan, self._batch, self._wanted = vectors, plan, batch, wanted
        self._floors = wanted.floors(batch)  # [Q]
        self._excluded = _excluded_slots(plan, batch)
        self._limit = _KEPT_PER_ANSWER * wanted.count * len(batch)
        self._room = self._limit
        self._num_slots = len(vectors) if plan.rows is None else len(plan.rows)
        self._products = np.zeros(0, np.float32)
        # Numbers, slots and scores, in parts that are in the order of numbers and slots.
        self._passed: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []

    def take(self, chunk: RowChunk) -> None:
        """Compare the rows of a chunk, and keep those that matter."""
        scores = self._scores(chunk)  # [Q, n]
        passes = scores >= self._floors[:, None]
        if np.count_nonzero(passes) > self._limit:
            self._raise_floors(self._some_bests(chunk, scores))
            passes = scores >= self._floors[:, None]
            if self._wanted.by_video and np.count_nonzero(passes) > self._limit:
                passes = self._near_their_best(chunk, scores)
        flat = np.flatnonzero(passes)
        if not len(flat):
            return
        numbers, columns = np.divmod(flat, scores.shape[1])
        self._passed.append((numbers, chunk.begin + columns, scores.ravel()[flat]))
        self._room -= len(flat)
        if self._room < 0:
            self._settle()

    def candidates(self) -> Candidates:
        """Those who still matter now that all are known."""
        empty = np.zeros(0, np.int64)
        if not self._passed:
            return Candidates(empty, empty, empty)
        videos = self._settle()
        ((numbers, slots, _),) = self._passed
        return Candidates(numbers, self._plan.rows_at(slots), self._plan.videos[videos])

    def _scores(self, chunk: RowChunk) -> NDArray[np.float32]:
        """Of the chunk's rows, −∞ for those that are no answers: `float32 [Q, n]`."""
        rows = self._plan.vectors_at(self._vectors, chunk)
        size = len(self._batch.vectors) * len(rows)
        if len(self._products) < size:
            self._products = np.empty(size, np.float32)
        products = self._products[:size].reshape(-1, len(rows))
        scores = self._batch.combined(np.matmul(self._batch.vectors, rows.T, out=products))
        if self._plan.usable is not None:
            usable = self._plan.usable[chunk.begin : chunk.end]
            if not usable.all():
                np.copyto(scores, -np.inf, where=~usable)
        if self._excluded is not None:
            numbers, begins, ends = self._excluded
            since, until = np.searchsorted(ends, chunk.begin, side="right"), np.searchsorted(begins, chunk.end)
            for number, begin, end in zip(
                numbers[since:until].tolist(), begins[since:until].tolist(), ends[since:until].tolist(), strict=True
            ):
                scores[number, max(0, begin - chunk.begin) : end - chunk.begin] = -np.inf
        return scores

    def _some_bests(self, chunk: RowChunk, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of different answers, not necessarily the best of each: `float32 [Q, s]`."""
        if self._wanted.by_video:
            starts = self._plan.first_slots[chunk.first : chunk.last] - chunk.begin
            return scores.take(starts, axis=1) if chunk.is_whole else scores[:, :0]
        size = scores.shape[1] // _STRIDE
        if size < self._wanted.count:
            return scores
        return scores[:, : size * _STRIDE].reshape(len(scores), _STRIDE, size).max(axis=1)

    def _near_their_best(self, chunk: RowChunk, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which rows pass, and lie no further behind the best of their video than the margin: `bool [Q, n]`."""
        np.nan_to_num(scores, copy=False, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        starts = np.maximum(self._plan.first_slots[chunk.first : chunk.last] - chunk.begin, 0)
        bests = np.maximum.reduceat(scores, starts, axis=1)
        if chunk.is_whole:  # a part of a video counted by itself would count the video twice
            self._raise_floors(bests)
        least = np.maximum(bests - self._batch.margins[:, None], self._floors[:, None])
        least[bests < self._floors[:, None]] = np.inf
        return scores >= np.repeat(least, np.diff(starts, append=scores.shape[1]), axis=1)

    def _raise_floors(self, bests: NDArray[np.float32]) -> None:
        """Take scores of different answers into account, `float32 [Q, s]`."""
        place = bests.shape[1] - self._wanted.count
        if place < 0:
            return
        bests = np.where(np.isnan(bests), -np.inf, bests)
        bests.partition(place, axis=1)
        np.maximum(self._floors, bests[:, place] - self._batch.margins, out=self._floors)

    def _settle(self) -> NDArray[np.int64]:
        """Drop those who matter no more; returns the videos of the others, by their number in the plan."""
        numbers, slots, scores = self._passed[0]
        if len(self._passed) > 1:
            numbers, slots, scores = (np.concatenate(parts) for parts in zip(*self._passed, strict=True))
            order = np.argsort(numbers * self._num_slots + slots, kind="stable")  # quick: the parts are in order
            numbers, slots, scores = numbers[order], slots[order], scores[order]
        videos = np.searchsorted(self._plan.first_slots, slots, side="right") - 1
        kept = still_wanted(numbers, videos, scores, self._floors, self._batch.margins, self._wanted)
        self._passed = [(numbers[kept], slots[kept], scores[kept])]
        self._room = max(self._limit, np.count_nonzero(kept))
        return videos[kept]


def _excluded_slots(
    plan: RowPlan, batch: QueryBatch
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None:
    """Number of the query, first slot and one past the last slot of each video that a query leaves out, by slot."""
    found = [
        (number, *plan.slots_of(query.excluded)) for number, query in enumerate(batch.queries) if len(query.excluded)
    ]
    if not found:
        return None
    numbers = np.concatenate([np.full(len(begins), number) for number, begins, _ in found])
    begins = np.concatenate([begins for _, begins, _ in found])
    ends = np.concatenate([ends for _, _, ends in found])
    order = np.argsort(begins, kind="stable")
    return numbers[order], begins[order], ends[order]
