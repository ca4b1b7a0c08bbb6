"""How many lists a search must read, found out beside the exact search; or that no lists help.

The queries are stored clips, held out with all clips of their video, as a user's own video would not be in the index.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.final_order import Answer, answers_of
from cocon.client.index.search.lists.list_search import Breadth, ListSearch
from cocon.client.index.search.lists.row_lists import RowLists
from cocon.client.index.search.row_plan import RowPlan
from cocon.client.index.search.scan import scan
from cocon.client.index.search.still_wanted import Candidates, Wanted
from cocon.client.index.search.vector_query import QueryBatch, VectorQuery
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["Calibration", "calibrate"]

_NUM_QUERIES, _QUERIES_AT_ONCE = 256, 64
_NUM_ANSWERS = 10
# Measured on so few queries, more is asked for than the 0.99 that is promised.
_MIN_RECALL = 0.995
# A list's row costs as much as a scanned one, so lists that a search must read more of gain little.
_MAX_PROBED_SHARE = 0.15
_SEED = 20_261_130


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured.

    Attributes:
        num_probed: Lists to be read.
        recall: Share of the ten best that are found then; the lower one of videos and moments.
        why_none: Why the lists do not help; None where they do.
    """

    num_probed: int
    recall: float
    why_none: str | None


def calibrate(lists: RowLists, vectors: NDArray[np.float32], table: RowTable, rows: NDArray[np.int64]) -> Calibration:
    """Measure lists beside the exact search.

    Args:
        lists: Of which a search reads a single one unless it says otherwise.
        vectors: Of all rows, `float32 [R, D]`.
        table: Which rows belong to which video.
        rows: Those in the lists, rising: `int64 [n]`.
    """
    chosen = sample_of(rows, _NUM_QUERIES, seed=_SEED)
    usable = np.zeros(table.total_rows, np.bool_)
    usable[rows] = True
    batches = [
        QueryBatch([VectorQuery.of(vectors[[row]], table.videos_of(np.array([row]))) for row in part.tolist()])
        for part in np.array_split(chosen, -(-len(chosen) // _QUERIES_AT_ONCE))
    ]
    tests = [_Test(vectors, table, usable, batch, by_video) for batch in batches for by_video in (True, False)]
    search = ListSearch(lists, vectors, table)
    most = max(1, int(_MAX_PROBED_SHARE * lists.num_lists))
    num_probed = 1
    while True:
        recalls = [test.recall(search, num_probed) for test in tests]
        recall = float(min(np.mean(recalls[0::2]), np.mean(recalls[1::2])))
        if recall >= _MIN_RECALL:
            return Calibration(num_probed, recall, None)
        if num_probed >= most:
            break
        num_probed = min(most, max(num_probed + 1, num_probed * 3 // 2))
    why = (
        f"{num_probed} of {lists.num_lists} lists hold {recall:.3f} of the ten nearest, must hold {_MIN_RECALL}: the "
        "vectors lie in no clusters"
    )
    return Calibration(num_probed, recall, why)


class _Test:
    """Queries and the scores of their best answers."""

    def __init__(
        self,
        vectors: NDArray[np.float32],
        table: RowTable,
        usable: NDArray[np.bool_],
        batch: QueryBatch,
        by_video: bool,
    ) -> None:
        self._vectors, self._batch, self._wanted = vectors, batch, Wanted(_NUM_ANSWERS, by_video)
        self._expected = self._answers(scan(vectors, RowPlan.whole(table, usable), batch, self._wanted))

    def recall(self, search: ListSearch, num_probed: int) -> float:
        """Share of the best that are found; others of the same score are as good."""
        found, _ = search.candidates(self._batch, self._wanted, Breadth(probed=num_probed))
        shares = [
            min(1.0, float((mine.scores >= best.scores[-1]).sum()) / len(best.scores))
            for mine, best in zip(self._answers(found), self._expected, strict=True)
            if len(best.scores)
        ]
        return float(np.mean(shares)) if shares else 1.0

    def _answers(self, candidates: Candidates) -> list[Answer]:
        return answers_of(self._batch, candidates, self._vectors, lambda rows: rows.tolist(), self._wanted, offset=0)
