"""Which rows are scanned in which order: all of them where they lie, or some of them gathered."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable

__all__ = ["RowChunk", "RowPlan"]

# A scan skips as many dead rows in a row, and takes fewer along.
_GAP_ROWS = 1024


@dataclass(frozen=True, slots=True)
class RowChunk:
    """Rows that are scanned at once: whole videos, or a part of a single one.

    Attributes:
        begin: First slot.
        end: One past the last slot.
        first: Number of the first video in the plan.
        last: One past that of the last video.
        is_whole: Whether no video in it goes on before or after it.
    """

    begin: int
    end: int
    first: int
    last: int
    is_whole: bool


@dataclass(frozen=True, eq=False)
class RowPlan:
    """Rows in the order of a scan. Row number and slot are the same where nothing is gathered.

    Attributes:
        first_slots: Of each video, rising: `int64 [S]`.
        num_rows: Of each video, `int64 [S]`.
        videos: Position of each in the row table, rising: `int64 [S]`.
        rows: In the order of the slots, `int64 [n]`; None where a slot is a row.
        usable: Whether each slot may be an answer, `bool [n]`; None where all may.
    """

    first_slots: NDArray[np.int64]
    num_rows: NDArray[np.int64]
    videos: NDArray[np.int64]
    rows: NDArray[np.int64] | None
    usable: NDArray[np.bool_] | None
    _chunks: dict[int, list[RowChunk]] = field(default_factory=dict, init=False)

    @classmethod
    def whole(cls, table: RowTable, usable: NDArray[np.bool_] | None) -> Self:
        """All rows of a table where they lie; of which some are usable, `bool [R]`."""
        if usable is None and table.num_live < table.total_rows:
            usable = table.live
        return cls(table.first_rows, table.num_rows, np.arange(len(table.first_rows)), None, usable)

    @classmethod
    def gathered(cls, rows: NDArray[np.int64], videos: NDArray[np.int64]) -> Self:
        """Some rows, rising, and the position in the row table of the video of each: `int64 [n]`, `int64 [n]`."""
        is_first = np.ones(len(rows), np.bool_)
        is_first[1:] = videos[1:] != videos[:-1]
        first = np.flatnonzero(is_first)
        return cls(first, np.diff(first, append=len(rows)), videos[first], rows, None)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to scan."""
        return not len(self.first_slots)

    def chunks(self, max_rows: int) -> list[RowChunk]:
        """All rows, as many whole videos at once as fit; a longer video in parts."""
        if max_rows not in self._chunks:
            self._chunks[max_rows] = list(self._cut(max_rows))
        return self._chunks[max_rows]

    def _cut(self, max_rows: int) -> Iterator[RowChunk]:
        ends = self.first_slots + self.num_rows
        breaks = np.flatnonzero(self.first_slots[1:] - ends[:-1] >= _GAP_ROWS) + 1
        breaks = np.append(breaks, len(ends))
        first = 0
        while first < len(ends):
            begin = int(self.first_slots[first])
            last = int(np.searchsorted(ends, begin + max_rows, side="right"))
            last = min(last, int(breaks[np.searchsorted(breaks, first, side="right")]))
            if last > first:
                yield RowChunk(begin, int(ends[last - 1]), first, last, True)
                first = last
                continue
            for start in range(begin, int(ends[first]), max_rows):
                yield RowChunk(start, min(start + max_rows, int(ends[first])), first, first + 1, False)
            first += 1

    def rows_at(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row numbers of slots."""
        return slots if self.rows is None else self.rows[slots]

    def vectors_at(self, vectors: NDArray[np.float32], chunk: RowChunk) -> NDArray[np.float32]:
        """Of all rows those of a chunk: `float32 [n, D]`."""
        if self.rows is None:
            return vectors[chunk.begin : chunk.end]
        return vectors.take(self.rows[chunk.begin : chunk.end], axis=0)

    def slots_of(self, videos: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First slot, and one past the last slot, of those of the videos that are in the plan: `[n]`, `[n]`."""
        found = np.searchsorted(self.videos, videos)
        found = found[found < len(self.videos)] if len(self.videos) else found[:0]
        found = found[np.isin(self.videos[found], videos)]
        return self.first_slots[found], self.first_slots[found] + self.num_rows[found]
