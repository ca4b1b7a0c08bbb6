"""Which rows a search may answer with, and whether they are gathered or scanned where they lie."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.row_plan import RowPlan
from cocon.core.errors import UsageError

__all__ = ["RowChoice"]

# Up to this share of the rows, gathering them is faster than scanning all.
_GATHERED_SHARE = 0.4


class RowChoice:
    """The rows that are left by the filters of a search.

    Args:
        table: Which rows belong to which video.
        allowed: Whether each video may be an answer, `bool [V]`; None where all may.
        allowed_rows: Whether each row may be, `bool [R]`; None where all may.
        unsound: Rows that are no answers, rising: `int64 [u]`.

    Raises:
        UsageError: A mask has another length.
    """

    def __init__(
        self,
        table: RowTable,
        allowed: NDArray[np.bool_] | None,
        allowed_rows: NDArray[np.bool_] | None,
        unsound: NDArray[np.int64],
    ) -> None:
        for name, mask, length in (
            ("allowed", allowed, len(table.first_rows)),
            ("allowed_rows", allowed_rows, table.total_rows),
        ):
            if mask is not None and (mask.shape != (length,) or mask.dtype != np.bool_):
                raise UsageError(f"{name} ({mask.dtype} {list(mask.shape)}) must be bool [{length}]")
        self._table, self._allowed, self._allowed_rows, self.unsound = table, allowed, allowed_rows, unsound
        self.is_filtered = allowed is not None or allowed_rows is not None
        self.num_rows = table.num_live  # at most
        if allowed is not None:
            self.num_rows = int(table.num_rows.sum(where=allowed))
        if allowed_rows is not None:
            self.num_rows = min(self.num_rows, int(np.count_nonzero(allowed_rows)))

    @property
    def is_gathered(self) -> bool:
        """Whether the rows are so few that they are gathered."""
        return self.is_filtered and self.num_rows <= _GATHERED_SHARE * self._table.total_rows

    def plan(self, whole: RowPlan) -> RowPlan:
        """The rows in the order of a scan; `whole` is the plan of all rows."""
        if not self.is_gathered:
            return replace(whole, usable=self.usable()) if self.is_filtered or len(self.unsound) else whole
        if self._allowed is None:
            assert self._allowed_rows is not None
            rows = np.flatnonzero(self._allowed_rows)
            videos = self._table.videos_of(rows)
            kept = videos >= 0
        else:
            positions = np.flatnonzero(self._allowed)
            rows = self._table.rows_of(positions)
            videos = np.repeat(positions, self._table.num_rows[positions])
            kept = np.ones(len(rows), np.bool_) if self._allowed_rows is None else self._allowed_rows[rows]
        if len(self.unsound):
            kept &= ~np.isin(rows, self.unsound)
        return RowPlan.gathered(rows, videos) if kept.all() else RowPlan.gathered(rows[kept], videos[kept])

    def usable(self) -> NDArray[np.bool_] | None:
        """Whether each row may be an answer, `bool [R]`; None where all may."""
        table = self._table
        if not self.is_filtered and not len(self.unsound):
            return None if table.num_live == table.total_rows else table.live
        usable = table.live if self._allowed is None else self._of_videos(self._allowed)
        if self._allowed_rows is not None:
            usable = usable & self._allowed_rows
        if len(self.unsound):
            usable = usable.copy()
            usable[self.unsound] = False
        return usable

    def without(self, unsound: NDArray[np.int64]) -> "RowChoice":
        """The same without these rows."""
        return RowChoice(self._table, self._allowed, self._allowed_rows, unsound)

    def _of_videos(self, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        of_rows = np.repeat(allowed, self._table.num_rows)  # of live rows
        if len(of_rows) == self._table.total_rows:
            return of_rows
        usable = np.zeros(self._table.total_rows, np.bool_)
        usable[self._table.live] = of_rows
        return usable
