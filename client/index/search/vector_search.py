"""Search over the vectors of an index: the way is chosen here, and an answer is the same whichever it is.

    search = VectorSearch(vectors, table)
    search.search([VectorQuery.of(clips)], top=10).answers[0].rows

A search uses the threads that NumPy's and FAISS's libraries take; `OMP_NUM_THREADS=1` in the environment is best where
several threads or processes search at once. Nothing global is changed here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.final_order import Answer, SortKeys, answers_of
from cocon.client.index.search.hits import Grouping, check_grouping
from cocon.client.index.search.row_choice import RowChoice
from cocon.client.index.search.row_plan import RowPlan
from cocon.client.index.search.scan import Candidates, scan
from cocon.client.index.search.vector_query import QueryBatch, VectorQuery
from cocon.core.errors import UsageError

__all__ = ["IsSound", "VectorAnswers", "VectorSearch", "Way"]

# Row numbers `int64 [n]` → whether the vector of each is as it was stored, `bool [n]`.
IsSound = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
Way = Literal["exact", "gathered", "lists"]

# Rows whose checksums are taken at once.
_CHECKED_ROWS = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class VectorAnswers:
    """What a search found.

    Attributes:
        answers: To each query.
        way: `exact` over all rows, `gathered` over those that a filter left, or `lists`.
        unsound: Rows found damaged by this search and left out, rising: `int64 [u]`.
    """

    answers: list[Answer]
    way: Way
    unsound: NDArray[np.int64]


class VectorSearch:
    """Search over one state of an index. Safe for several threads.

    Args:
        vectors: Of all rows, of unit length: `float32 [R, D]`.
        table: Which rows belong to which video.
        is_sound: Asked about every row that is about to be an answer.
        sort_keys: Puts videos of equal score in order; by row unless given.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        table: RowTable,
        *,
        is_sound: IsSound = lambda rows: np.ones(len(rows), np.bool_),
        sort_keys: SortKeys = lambda rows: rows.tolist(),
    ) -> None:
        self._vectors, self._table, self._is_sound, self._sort_keys = vectors, table, is_sound, sort_keys
        self._unsound = np.zeros(0, np.int64)
        self._whole = RowPlan.whole(table, None)
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
        if not len(queries):
            return VectorAnswers([], "exact", np.zeros(0, np.int64))
        batch, by_video = QueryBatch(queries), grouping == "video"
        choice = RowChoice(self._table, allowed, allowed_rows, self._unsound)
        candidates, unsound = self._scanned(batch, choice, offset + top, by_video, min_score)
        answers = answers_of(
            batch,
            candidates,
            self._vectors,
            self._sort_keys,
            offset=offset,
            top=top,
            by_video=by_video,
            min_score=min_score,
        )
        return VectorAnswers(answers, "gathered" if choice.is_gathered else "exact", unsound)

    def _scanned(
        self, batch: QueryBatch, choice: RowChoice, wanted: int, by_video: bool, min_score: float | None
    ) -> tuple[Candidates, NDArray[np.int64]]:
        """Sound candidates of an exact scan, and the unsound rows found meanwhile.

        A damaged row can only push out others by a score that is too high. So those that are about to be answers are
        checked; if one is damaged, the scan goes on without it, and if then there is another, all rows are checked.
        """
        known = self._unsound
        for is_second in (False, True, False):
            plan = choice.plan(self._whole)
            candidates = scan(self._vectors, plan, batch, wanted=wanted, by_video=by_video, min_score=min_score)
            unsound = self._unsound_of(candidates.rows)
            if not len(unsound):
                break
            if is_second:
                unsound = self._unsound_of(np.arange(len(self._vectors)))
            choice = choice.without(self._note(unsound))
        return candidates, np.zeros(0, np.int64) if self._unsound is known else np.setdiff1d(self._unsound, known)

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
