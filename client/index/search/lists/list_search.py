"""Candidates by lists: fetched by their codes, scored from the vectors, later rows scanned and merged."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.lists.row_lists import RowLists, RowSelector
from cocon.client.index.search.row_choice import RowChoice
from cocon.client.index.search.row_plan import RowPlan
from cocon.client.index.search.scan import scan
from cocon.client.index.search.still_wanted import Candidates, Wanted, still_wanted
from cocon.client.index.search.vector_query import QueryBatch

__all__ = ["Breadth", "ListSearch"]

# Rows fetched for each wanted answer; for videos as many times as they have rows, up to a limit.
_FETCHED_PER_ANSWER, _MIN_FETCHED = 4, 64
_FETCHED_PER_VIDEO_ROW, _MAX_VIDEO_ROWS = 2, 16
# FAISS keeps them in a heap, and their vectors are gathered.
_MAX_FETCHED = 1 << 14
# Under a filter, so many times the lists must have the same.
_AGREEING = 4
# Fetched rows of which those are gathered alone that the codes leave in question.
_MANY_FETCHED = 512
_NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Breadth:
    """How widely lists are searched, as multiples of what is usual.

    Attributes:
        fetched: Rows for each query.
        probed: Lists that are read.
    """

    fetched: int = 1
    probed: int = 1


# The second look at lists that did not know enough.
_WIDER = Breadth(fetched=8, probed=2)


@dataclass(frozen=True, slots=True, eq=False)
class _Fetched:
    """What the lists gave.

    Attributes:
        numbers: Of the queries, rising: `int64 [n]`.
        rows: Rising within a query, `int64 [n]`.
        scores: By the codes, `float32 [n]`.
        bounds: What no row of the lists read scores more than that was left out for want of room: `float32 [Q]`.
        errors: Of scores by the codes, `float32 [Q]`.
    """

    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    bounds: NDArray[np.float32]
    errors: NDArray[np.float32]


class ListSearch:
    """Lists over one state of an index. Safe for several threads.

    Args:
        lists: Opened.
        vectors: Of all rows, `float32 [R, D]`.
        table: Which rows belong to which video.
    """

    def __init__(self, lists: RowLists, vectors: NDArray[np.float32], table: RowTable) -> None:
        self._lists, self._vectors, self._table = lists, vectors, table

    def suit(self, choice: RowChoice) -> bool:
        """Whether lists are faster than a scan of the rows that a filter leaves."""
        if not choice.is_filtered:
            return self._lists.num_rows > 0
        # Both looks read as many times more lists as the filter leaves fewer rows; a list's row costs twice as much.
        share = choice.num_rows / max(1, self._table.num_live)
        return 2 * (1 + _AGREEING) * self._lists.num_probed <= share**2 * self._lists.num_lists

    def search(self, batch: QueryBatch, wanted: Wanted, choice: RowChoice) -> tuple[Candidates, NDArray[np.bool_]]:
        """Rows that are probably the best, and for which queries they are enough: `bool [Q]`.

        Nobody knows of a filter whether it leaves the lists near a query as they are, or empties just those. Therefore
        it is enough only if four times as many lists have the same.
        """
        is_enough = np.array([query.probes is not None for query in batch.queries])
        numbers = np.flatnonzero(is_enough)
        if not len(numbers):
            return Candidates(_NO_ROWS, _NO_ROWS, _NO_ROWS), is_enough
        asked = batch.of(numbers)
        if choice.is_filtered:
            found, knows = self._agreed(asked, wanted, choice)
        else:
            found, knows = self.candidates(asked, wanted, unsound=choice.unsound)
            if not knows.all():
                others = np.flatnonzero(~knows)
                second, knows[others] = self.candidates(asked.of(others), wanted, _WIDER, unsound=choice.unsound)
                found = found.with_others(~np.isin(np.arange(len(asked)), others), second, others)
        is_enough[numbers] = knows
        return replace(found, numbers=numbers[found.numbers]), is_enough

    def candidates(
        self,
        batch: QueryBatch,
        wanted: Wanted,
        breadth: Breadth = Breadth(),  # it is frozen
        *,
        usable: NDArray[np.bool_] | None = None,
        unsound: NDArray[np.int64] = _NO_ROWS,
    ) -> tuple[Candidates, NDArray[np.bool_]]:
        """One look at the lists.

        Args:
            batch: What is asked; every query has probes .
            wanted: Of each query.
            breadth: More than usual is read and fetched with a greater one.
            usable: Whether each row may be an answer, `bool [R]`; all live ones unless given.
            unsound: Rows that are no answers, `int64 [u]`.

        Returns:
            Candidates; and whether as many answers as are wanted score more than any row that was left out for want
            of room, `bool [Q]`.
        """
        fetched = self._fetched(batch, wanted, usable, breadth)
        numbers, rows, bounds = fetched.numbers, fetched.rows, fetched.bounds
        videos = self._table.videos_of(rows)
        kept = np.flatnonzero(_may_answer(batch, numbers, rows, videos, unsound))
        if len(rows) > _MANY_FETCHED:  # most of them can be told by their codes
            floors, margins = wanted.floors(batch) - fetched.errors, batch.margins + 2 * fetched.errors
            kept = kept[still_wanted(numbers[kept], videos[kept], fetched.scores[kept], floors, margins, wanted)]
        numbers, rows, videos = numbers[kept], rows[kept], videos[kept]
        if not self._later.is_empty:
            later = scan(self._vectors, self._tail(usable, unsound), batch, wanted)
            numbers, rows = np.append(numbers, later.numbers), np.append(rows, later.rows)
            order = np.lexsort((rows, numbers))
            numbers, rows, videos = numbers[order], rows[order], np.append(videos, later.videos)[order]
        floors = wanted.floors(batch)
        scores = batch.pair_scores(numbers, rows, self._vectors)
        left = still_wanted(numbers, videos, scores, floors, batch.margins, wanted)
        # The floor is now that of the last wanted score, or of the lowest that was asked for.
        is_enough = (floors > bounds) & ((floors > -batch.limits) | (wanted.min_score is not None))
        return Candidates(numbers[left], rows[left], videos[left]), is_enough

    def _agreed(self, batch: QueryBatch, wanted: Wanted, choice: RowChoice) -> tuple[Candidates, NDArray[np.bool_]]:
        """Two looks under a filter, of which the second is four times as wide."""
        usable = choice.usable()
        probed = math.ceil(self._table.num_live / choice.num_rows)
        first, _ = self.candidates(batch, wanted, Breadth(1, probed), usable=usable)
        second, knows = self.candidates(batch, wanted, Breadth(2, _AGREEING * probed), usable=usable)
        ranges = (np.searchsorted(found.numbers, np.arange(len(batch) + 1)) for found in (first, second))
        for number, (mine, theirs) in enumerate(zip(*(pairwise(bounds.tolist()) for bounds in ranges), strict=True)):
            knows[number] &= np.array_equal(first.rows[slice(*mine)], second.rows[slice(*theirs)])
        return second, knows

    def _fetched(
        self, batch: QueryBatch, wanted: Wanted, usable: NDArray[np.bool_] | None, breadth: Breadth
    ) -> _Fetched:
        probes, owners = batch.vectors, np.arange(len(batch))
        if not batch.is_plain:
            parts = [part for query in batch.queries if (part := query.probes) is not None]
            probes, owners = np.concatenate(parts), np.repeat(owners, [len(part) for part in parts])
        scores, rows = self._lists.candidates(
            probes,
            self._num_fetched(batch, wanted, breadth),
            num_probed=self._lists.num_probed * breadth.probed,
            selector=self._live if usable is None else RowSelector(usable),
        )
        errors = np.float32(self._lists.code_error) * np.linalg.norm(probes, axis=1)
        last = np.where(rows[:, -1] >= 0, scores[:, -1] + errors, np.float32(-np.inf))
        if len(owners) > len(batch):
            starts = np.searchsorted(owners, np.arange(len(batch)))
            last, errors = np.maximum.reduceat(last, starts), np.maximum.reduceat(errors, starts)
        keys = (owners[:, None] * self._table.total_rows + rows).ravel()
        order = np.argsort(keys)
        order = order[rows.ravel()[order] >= 0]
        keys, found = keys[order], scores.ravel()[order]
        if len(owners) > len(batch) and len(keys):  # a row that several probes found
            firsts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
            keys, found = keys[firsts], np.maximum.reduceat(found, firsts)
        numbers, rows = np.divmod(keys, self._table.total_rows)
        return _Fetched(numbers, rows, found, last, errors)

    def _num_fetched(self, batch: QueryBatch, wanted: Wanted, breadth: Breadth) -> int:
        table, per_answer = self._table, _FETCHED_PER_ANSWER
        if wanted.by_video:
            mean_rows = min(_MAX_VIDEO_ROWS, -(-table.num_live // len(table.num_rows)))
            per_answer = max(per_answer, _FETCHED_PER_VIDEO_ROW * mean_rows)
        excluded = max(
            int(table.num_rows[query.excluded].sum()) if len(query.excluded) else 0 for query in batch.queries
        )
        count = max(_MIN_FETCHED, wanted.count * per_answer) * breadth.fetched + excluded
        return min(count, _MAX_FETCHED, self._lists.num_rows)

    @cached_property
    def _live(self) -> RowSelector | None:
        live = self._table.live
        return None if live[: self._lists.covered_rows].all() else RowSelector(live)

    @cached_property
    def _later(self) -> RowPlan:
        """The rows after the lists."""
        table, since = self._table, int(np.searchsorted(self._table.first_rows, self._lists.covered_rows))
        usable = None if table.num_live == table.total_rows else table.live
        return RowPlan(
            table.first_rows[since:], table.num_rows[since:], np.arange(since, len(table.first_rows)), None, usable
        )

    def _tail(self, usable: NDArray[np.bool_] | None, unsound: NDArray[np.int64]) -> RowPlan:
        if usable is None and not len(unsound):
            return self._later
        left = (self._table.live if usable is None else usable).copy()
        left[unsound] = False
        return replace(self._later, usable=left)


def _may_answer(
    batch: QueryBatch,
    numbers: NDArray[np.int64],
    rows: NDArray[np.int64],
    videos: NDArray[np.int64],
    unsound: NDArray[np.int64],
) -> NDArray[np.bool_]:
    kept = videos >= 0
    if len(unsound):
        kept &= ~np.isin(rows, unsound)
    if not any(len(query.excluded) for query in batch.queries):
        return kept
    bounds = np.searchsorted(numbers, np.arange(len(batch) + 1)).tolist()
    for query, (begin, end) in zip(batch.queries, pairwise(bounds), strict=True):
        if len(query.excluded):
            kept[begin:end] &= ~np.isin(videos[begin:end], query.excluded)
    return kept
