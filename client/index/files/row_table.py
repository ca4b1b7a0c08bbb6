"""Which rows of the vectors file belong to which video."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowTable"]


@dataclass(frozen=True, eq=False)
class RowTable:
    """Videos in the order of their rows. The rows of a video follow one another; those of none are dead.

    Attributes:
        video_ids: Rising, `int64 [V]`.
        first_rows: Rising, `int64 [V]`.
        num_rows: At least 1, `int64 [V]`.
        total_rows: R, of the file, dead ones included.
    """

    video_ids: NDArray[np.int64]
    first_rows: NDArray[np.int64]
    num_rows: NDArray[np.int64]
    total_rows: int

    @cached_property
    def end_rows(self) -> NDArray[np.int64]:
        """One past each video's last row: `int64 [V]`."""
        return self.first_rows + self.num_rows

    @cached_property
    def num_live(self) -> int:
        """Rows that belong to a video."""
        return int(self.num_rows.sum())

    def videos_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position in this table of the video that each row belongs to, -1 for dead rows: `int64 [n]`."""
        if not len(self.video_ids):
            return np.full(len(rows), -1, np.int64)
        found = np.searchsorted(self.first_rows, rows, side="right") - 1
        return np.where((found >= 0) & (rows < self.end_rows[found]), found, -1)

    def positions_of(self, video_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in this table of videos by id; those that are not in it are left out: `int64 [n]`."""
        found = np.searchsorted(self.video_ids, video_ids)
        found = found[found < len(self.video_ids)] if len(self.video_ids) else found[:0]
        return found[np.isin(self.video_ids[found], video_ids)]

    def rows_of(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """All rows of videos at these positions, video by video: `int64 [n]`."""
        counts = self.num_rows[positions]
        ends = np.cumsum(counts)
        return np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.first_rows[positions] - ends + counts, counts)

    def parts(self, positions: NDArray[np.int64], max_rows: int) -> Iterator[slice]:
        """Slices of `positions`: of videos with at most so many rows together, or of a single one that has more."""
        ends = np.cumsum(self.num_rows[positions])
        begin = 0
        while begin < len(positions):
            before = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + max_rows, side="right")))
            yield slice(begin, end)
            begin = end

    def row_mask(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each row is of one of the videos at these positions: `bool [R]`."""
        mask = np.zeros(self.total_rows, np.bool_)
        mask[self.rows_of(positions)] = True
        return mask

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """Whether each row belongs to a video: `bool [R]`."""
        return self.row_mask(np.arange(len(self.video_ids)))
