"""Search over the vectors of an index: the way is chosen here.

    search = VectorSearch(vectors, table)
    search.search([VectorQuery.of(clips)], top=10).answers[0].rows

Without lists, and with filters that leave few rows, the answers are exact. Lists are asked first where there are some,
and queries for which they do not know enough are scanned for: at most two looks and one scan, whatever the vectors are.

A search uses the threads that NumPy's and FAISS's libraries take; `OMP_NUM_THREADS=1` in the environment is best where
several threads or processes search at once. Nothing global is changed here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.final_order import Answer, SortKeys, answers_of
from cocon.client.index.search.hits import Grouping, check_grouping
from cocon.client.index.search.lists.list_search import ListSearch
from cocon.client.index.search.lists.row_lists import RowLists
from cocon.client.index.search.row_choice import RowChoice
from cocon.client.index.search.row_plan import RowPlan
from cocon.client.index.search.scan import scan
from cocon.client.index.search.still_wanted import Candidates, Wanted
from cocon.client.index.search.vector_query import QueryBatch, VectorQuery
from cocon.core.errors import UsageError

__all__ = ["IsSound", "VectorAnswers", "VectorSearch", "Way"]

# Row numbers `int64 [n]` → whether the vector of each is as it was stored, `bool [n]`.
IsSound = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
Way = Literal["exact", "gathered", "lists"]

# Rows whose checksums are taken at once.
_CHECKED_ROWS = 1 << 16
# Rows that are left out one by one rather than by a mask over all, such as those of the query itself.
_FEW_ROWS = 256
_NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class VectorAnswers:
    """What a search found.

    Attributes:
        answers: To each query.
        way: `exact` over all rows, `gathered` over those that a filter left, or `lists`.
        num_scanned: Queries that lists were asked for, and that a scan decided.
        unsound: Rows found damaged by this search and left out, rising: `int64 [u]`.
    """

    answers: list[Answer]
    way: Way
    num_scanned: int
    unsound: NDArray[np.int64]


class VectorSearch:
    """Search over one state of an index. Safe for several threads.

    Args:
        vectors: Of all rows, of unit length: `float32 [R, D]`.
        table: Which rows belong to which video.
        lists: Of this index, where there are some.
        is_sound: Asked about every row that is about to be an answer.
        sort_keys: Puts videos of equal score in order; by row unless given.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        table: RowTable,
        *,
        lists: RowLists | None = None,
        is_sound: IsSound = lambda rows: np.ones(len(rows), np.bool_),
        sort_keys: SortKeys = lambda rows: rows.tolist(),
    ) -> None:
        self._vectors, self._table, self._is_sound, self._sort_keys = vectors, table, is_sound, sort_keys
        self._lists = None if lists is None else ListSearch(lists, vectors, table)
        self._whole = RowPlan.whole(table, None)
        self._unsound = _NO_ROWS
        self._lock = Lock()

    @property
    def unsound(self) -> NDArray[np.int64]:
        """All rows found damaged until now, rising: `int64 [u]`."""
        return self._unsound

    def search(
        self,
        queries: Sequence[VectorQuery],
        *,
        top: int = 10,
        offset: int = 0,
        grouping: Grouping = "video",
        min_score: float | None = None,
        allowed: NDArray[np.bool_] | None = None,
        allowed_rows: NDArray[np.bool_] | None = None,
        is_exact: bool = False,
    ) -> VectorAnswers:
        """The best rows for each of many queries.

        Args:
            queries: What is asked, vectors of dimension D.
            top: Most answers to each.
            offset: Answers left out before them.
            grouping: `video` for the best row of each video, `moment` for the best rows wherever they are.
            min_score: Lower ones are no answers.
            allowed: Whether each video may be an answer, `bool [V]`.
            allowed_rows: Whether each row may be, `bool [R]`.
            is_exact: Whether lists are left aside.

        Raises:
            UsageError: `top`, `offset`, `grouping` or a mask is out of range.
        """
        check_grouping(grouping)
        if top < 1 or offset < 0:
            raise UsageError(f"top ({top}) must be positive, offset ({offset}) at least 0")
        choice = RowChoice(self._table, allowed, allowed_rows, self._unsound)
        if allowed is not None and self._table.num_live - choice.num_rows <= _FEW_ROWS and allowed_rows is None:
            excluded = np.flatnonzero(~allowed)
            queries = [replace(query, excluded=np.append(query.excluded, excluded)) for query in queries]
            choice = RowChoice(self._table, None, None, self._unsound)
        lists = None if is_exact or self._lists is None or not self._lists.suit(choice) else self._lists
        way: Way = "lists" if lists else "gathered" if choice.is_gathered else "exact"
        if not len(queries):
            return VectorAnswers([], way, 0, _NO_ROWS)
        batch, wanted, known = QueryBatch(queries), Wanted(offset + top, grouping == "video", min_score), self._unsound
        candidates, num_scanned = self._sound_candidates(batch, wanted, choice, lists)
        answers = answers_of(batch, candidates, self._vectors, self._sort_keys, wanted, offset=offset)
        found = _NO_ROWS if self._unsound is known else np.setdiff1d(self._unsound, known)
        return VectorAnswers(answers, way, num_scanned, found)

    def _sound_candidates(
        self, batch: QueryBatch, wanted: Wanted, choice: RowChoice, lists: ListSearch | None
    ) -> tuple[Candidates, int]:
        """Candidates, and how many of the queries a scan decided.

        A damaged row can only push out others by a score that is too high. So those that are about to be answers are
        checked; if one is damaged, the search goes on without it, and if then there is another, all rows are checked.
        """
        for is_second in (False, True, False):
            candidates, num_scanned = self._candidates(batch, wanted, choice, lists)
            unsound = self._unsound_of(candidates.rows)
            if not len(unsound):
                break
            if is_second:
                unsound = self._unsound_of(np.arange(len(self._vectors)))
            choice = choice.without(self._note(unsound))
        return candidates, num_scanned

    def _candidates(
        self, batch: QueryBatch, wanted: Wanted, choice: RowChoice, lists: ListSearch | None
    ) -> tuple[Candidates, int]:
        if lists is None:
            return scan(self._vectors, choice.plan(self._whole), batch, wanted), 0
        candidates, is_enough = lists.search(batch, wanted, choice)
        others = np.flatnonzero(~is_enough)
        if not len(others):
            return candidates, 0
        scanned = scan(self._vectors, choice.plan(self._whole), batch.of(others), wanted)
        return candidates.with_others(is_enough, scanned, others), len(others)

    def _unsound_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(rows) <= _CHECKED_ROWS:
            return rows[~self._is_sound(rows)]
        parts = (rows[begin : begin + _CHECKED_ROWS] for begin in range(0, len(rows), _CHECKED_ROWS))
        return np.concatenate([part[~self._is_sound(part)] for part in parts])

    def _note(self, unsound: NDArray[np.int64]) -> NDArray[np.int64]:
        """Remember damaged rows; returns all."""
        with self._lock:
            self._unsound = np.union1d(self._unsound, unsound)
            return self._unsound
