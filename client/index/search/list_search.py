"""Candidates by lists: fetched by their codes, scored from the vectors, later rows scanned and merged."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.row_choice import RowChoice
from cocon.client.index.search.row_lists import RowLists, RowSelector
from cocon.client.index.search.row_plan import RowPlan
from cocon.client.index.search.scan import scan
from cocon.client.index.search.still_wanted import Candidates, Wanted, still_wanted
from cocon.client.index.search.vector_query import QueryBatch, VectorQuery

__all__ = ["Breadth", "ListSearch", "probes_of"]

# Rows fetched for each wanted answer; for videos as many times as they have rows, up to a limit.
_FETCHED_PER_ANSWER, _MIN_FETCHED = 4, 64
_FETCHED_PER_VIDEO_ROW, _MAX_VIDEO_ROWS = 2, 16
# FAISS keeps them in a heap, and their vectors are gathered.
_MAX_FETCHED = 1 << 14
# A filter that leaves a smaller share of the rows has them gathered.
_MIN_SHARE = 0.1
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
        return choice.num_rows >= max(1, _MIN_SHARE * self._table.num_live)

    def search(self, batch: QueryBatch, wanted: Wanted, choice: RowChoice) -> tuple[Candidates, NDArray[np.bool_]]:
        """Rows that are probably the best, and for which queries they are enough: `bool [Q]`.

        Nobody knows of a filter whether it leaves the lists near a query as they are, or empties just those. Therefore
        it is enough only if four times as many lists have the same.
        """
        is_enough = np.array([probes_of(query) is not None for query in batch.queries])
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
            batch: What is asked; every query has probes (`probes_of`).
            wanted: Of each query.
            breadth: More than usual is read and fetched with a greater one.
            usable: Whether each row may be an answer, `bool [R]`; all live ones unless given.
            unsound: Rows that are no answers, `int64 [u]`.

        Returns:
            Candidates; and whether as many answers as are wanted score more than any row that was left out for want
            of room, `bool [Q]`.
        """
        numbers, rows, bounds = self._fetched(batch, wanted, usable, breadth)
        videos = self._table.videos_of(rows)
        kept = _may_answer(batch, numbers, rows, videos, unsound)
        numbers, rows, videos = numbers[kept], rows[kept], videos[kept]
        later = scan(self._vectors, self._tail(usable, unsound), batch, wanted)
        if len(later.rows):
            numbers, rows = np.append(numbers, later.numbers), np.append(rows, later.rows)
            order = np.lexsort((rows, numbers))
            numbers, rows, videos = numbers[order], rows[order], np.append(videos, later.videos)[order]
        floors = wanted.floors(batch)
        scores = batch.pair_scores(numbers, rows, self._vectors)
        kept = still_wanted(numbers, videos, scores, floors, batch, wanted)
        # The floor is now that of the last wanted score, or of the lowest that was asked for.
        is_enough = (floors > bounds) & ((floors > -batch.limits) | (wanted.min_score is not None))
        return Candidates(numbers[kept], rows[kept], videos[kept]), is_enough

    def _agreed(self, batch: QueryBatch, wanted: Wanted, choice: RowChoice) -> tuple[Candidates, NDArray[np.bool_]]:
        """Two looks under a filter, of which the second is four times as wide."""
        usable = choice.usable()
        probed = math.ceil(self._table.num_live / choice.num_rows)
        first, _ = self.candidates(batch, wanted, Breadth(1, probed), usable=usable)
        second, knows = self.candidates(batch, wanted, Breadth(2, 4 * probed), usable=usable)
        ranges = (np.searchsorted(found.numbers, np.arange(len(batch) + 1)) for found in (first, second))
        for number, (mine, theirs) in enumerate(zip(*(pairwise(bounds.tolist()) for bounds in ranges), strict=True)):
            knows[number] &= np.array_equal(first.rows[slice(*mine)], second.rows[slice(*theirs)])
        return second, knows

    def _fetched(
        self, batch: QueryBatch, wanted: Wanted, usable: NDArray[np.bool_] | None, breadth: Breadth
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Pairs of a query and a row, and by query what no row that was left out for want of room scores more than."""
        probes, owners = batch.vectors, np.arange(len(batch))
        if not batch.is_plain:
            parts = [part for query in batch.queries if (part := probes_of(query)) is not None]
            probes, owners = np.concatenate(parts), np.repeat(owners, [len(part) for part in parts])
        scores, rows = self._lists.candidates(
            probes,
            self._num_fetched(batch, wanted, breadth),
            num_probed=self._lists.num_probed * breadth.probed,
            selector=self._live if usable is None else RowSelector(usable),
        )
        errors = self._lists.code_error * np.linalg.norm(probes, axis=1)
        bounds = np.full(len(batch), -np.inf, np.float32)
        np.maximum.at(bounds, owners, np.where(rows[:, -1] >= 0, scores[:, -1] + errors, -np.inf).astype(np.float32))
        total = self._table.total_rows
        keys = (owners[:, None] * total + rows)[rows >= 0]
        numbers, rows = np.divmod(np.sort(keys) if len(owners) == len(batch) else np.unique(keys), total)
        return numbers, rows, bounds

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
        if self._later.is_empty or (usable is None and not len(unsound)):
            return self._later
        left = (self._table.live if usable is None else usable).copy()
        left[unsound] = False
        return replace(self._later, usable=left)


def probes_of(query: VectorQuery) -> NDArray[np.float32] | None:
    """Vectors near which every good answer to a query lies, `float32 [P, D]`; None where none are known.

    Those of a query of one group are its own. If every group is of one vector, the score is a product with one vector.
    """
    if len(query.groups) == 1 and query.groups[0].weight > 0:
        return query.groups[0].vectors
    if any(len(group.vectors) > 1 for group in query.groups):
        return None
    return np.sum([np.float32(group.weight) * group.vectors for group in query.groups], axis=0, dtype=np.float32)


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
    bounds = np.searchsorted(numbers, np.arange(len(batch) + 1)).tolist()
    for query, (begin, end) in zip(batch.queries, pairwise(bounds), strict=True):
        if len(query.excluded):
            kept[begin:end] &= ~np.isin(videos[begin:end], query.excluded)
    return kept
