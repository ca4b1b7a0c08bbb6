"""One state of an index, for reading: its catalogue in memory, its vectors mapped. Nothing of it changes."""

import json
import weakref
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.tables import read_fact
from cocon.client.index.catalogue.translation import translated
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.proven import CATALOG_FILE, Proven, as_file
from cocon.client.index.files.row_file import RowFile
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.files.succession import continues, last_records
from cocon.client.index.records import IndexedVideo, IndexFacts, RowFacts
from cocon.core.printable import printable, unescaped

__all__ = ["Snapshot", "block_file", "vector_file"]

_MAX_INTEGER = 2**63 - 1  # of SQLite
_PLACES = """
SELECT path, label, num_rows, spans, overlap, content_sha256, video_id, metadata, model, version
FROM places JOIN videos USING (video_id) {} ORDER BY path LIMIT ? OFFSET ?
"""
_ROWS = "SELECT video_id, first_row, num_rows FROM videos WHERE first_row >= ? {} ORDER BY first_row"
# A content without a place is on its way to another one, or about to be forgotten: it is not found.
_HAS_PLACE = "AND EXISTS (SELECT 1 FROM places WHERE places.video_id = videos.video_id)"
_SUMS = """
SELECT count(*), total(video_id), total(video_id * video_id % 1000003) FROM (SELECT DISTINCT video_id FROM places)
"""


class Snapshot:
    """What a reader sees. Safe for several threads.

    Args:
        folder: Of the index.
        catalogue: Proven.
        held: Vectors and blocks where they are in no file of their own, as in an index of an earlier schema.
        before: An older snapshot of the folder, whose work need not be done again.

    Attributes:
        facts: What the index is made for.
        row_facts: Where its rows are.
        epoch: Of its commit.
        rows: Which rows are of which video; damaged ones are left out.
        vectors: `float32 [R, D]`, read-only.
        blocks: `float16 [R, N, D]`, or None.
        bad: What is left out because it is damaged, a sentence each.
        last_records: See `succession`.

    Raises:
        FileNotFoundError: A file of rows is gone, as after a compaction.
    """

    def __init__(
        self,
        folder: Path,
        catalogue: Proven,
        *,
        held: tuple[NDArray[np.float32], NDArray[np.float16] | None] | None = None,
        before: "Snapshot | None" = None,
    ) -> None:
        self.folder = folder
        self._connection = catalogue.connection
        weakref.finalize(self, self._connection.close)  # a connection refers to itself: its memory would stay for long
        self.epoch = catalogue.epoch
        self.facts = IndexFacts.from_json(self.fact("index"))
        self.row_facts = RowFacts(**self.fact("rows"))
        if held is None:
            held = _mapped_rows(folder, self.facts, self.row_facts)
        self.vectors, self.blocks = held
        self.last_records = last_records(self.select)
        before = before if before is not None and self.is_later_than(before) else None
        self.rows, missing = self._table(before)
        if self.row_facts.blocks is not None and (self.blocks is None or len(self.blocks) < len(self.vectors)):
            self.blocks = None
            missing.append(f"'{self.row_facts.blocks}' is missing or cut short")
        self.bad = (*catalogue.bad, *missing)
        self._before = (before.rows.video_ids, before.unsound) if before and before.has_verified else None

    def is_later_than(self, before: "Snapshot") -> bool:
        """Whether what was found out of an older snapshot holds for this one: rows and ids mean the same."""
        return before.row_facts.vectors == self.row_facts.vectors and continues(before.last_records, self.select)

    def fact(self, key: str) -> Any:  # noqa: ANN401  # JSON
        """A named JSON value of the index; None where it has none."""
        return read_fact(self.select, key)

    def select(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Ask the catalogue.

        Raises:
            MismatchError: It is damaged.
        """
        with translated(self.folder / CATALOG_FILE):
            return self._connection.execute(sql, parameters).fetchall()

    def serialized(self) -> bytearray:
        """The catalogue as the bytes of a file."""
        return as_file(self._connection)

    def videos(
        self, where: str = "", parameters: Sequence[object] = (), *, top: int = -1, offset: int = 0
    ) -> list[IndexedVideo]:
        """Videos by path.

        Args:
            where: A clause of SQL over `places` and `videos`, beginning with WHERE.
            parameters: Of it.
            top: Most to return; -1 for all.
            offset: Of how many the first is left out.
        """
        page = [min(top, _MAX_INTEGER), min(offset, _MAX_INTEGER)]
        return [IndexedVideo.of_columns(*row) for row in self.select(_PLACES.format(where), [*parameters, *page])]

    @cached_property
    def spans(self) -> NDArray[np.float64]:
        """Start and end of all live rows in seconds, video by video: `float64 [L, 2]`."""
        return np.frombuffer(self._joined("spans"), "<f8").reshape(-1, 2)

    def are_sound(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether vectors are what was stored: `bool [n]`."""
        return self._agree(rows, self.vectors, "checksums")

    def have_sound_blocks(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the blocks of rows are known and what was stored: `bool [n]`."""
        if self.blocks is None:
            return np.zeros(len(rows), np.bool_)
        return self._agree(rows, self.blocks, "block_checksums")

    @property
    def has_verified(self) -> bool:
        """Whether `unsound` has been found out."""
        return "unsound" in self.__dict__

    @cached_property
    def unsound(self) -> NDArray[np.int64]:
        """Live rows whose vectors are not what was stored: all are read, once a process: `int64 [n]`."""
        known = np.array([], np.int64)
        positions = np.arange(len(self.rows.video_ids))
        if self._before is not None:
            verified, unsound = self._before
            positions = np.flatnonzero(~np.isin(self.rows.video_ids, verified))
            known = unsound[self.rows.videos_of(unsound) >= 0]
        rows = self.rows.rows_of(positions)
        if not len(rows):
            return known
        ids = self.rows.video_ids[positions]
        expected = np.frombuffer(self._joined("checksums", int(ids[0])), "<u8")
        if len(expected) != len(rows):
            expected = self._expected(ids, "checksums")
        found = row_checksums(self.vectors[rows[0] : rows[-1] + 1])[rows - rows[0]]
        return np.concatenate([known, rows[found != expected]])

    def _agree(self, rows: NDArray[np.int64], stored: NDArray[Any], column: str) -> NDArray[np.bool_]:
        positions = self.rows.videos_of(rows)
        wanted, places = np.unique(positions, return_inverse=True)
        ids, counts = self.rows.video_ids[wanted], self.rows.num_rows[wanted]
        found = dict(self._select_of(ids, f"video_id, {column}"))
        is_known = np.array(
            [len(found[key]) == 8 * count for key, count in zip(ids.tolist(), counts, strict=True)], bool
        )
        expected = np.frombuffer(b"".join(found[key] for key in ids[is_known].tolist()), "<u8")
        begins = np.cumsum(counts * is_known) - counts * is_known
        known = np.flatnonzero(is_known[places])
        sound = np.zeros(len(rows), np.bool_)
        at = begins[places[known]] + rows[known] - self.rows.first_rows[positions[known]]
        sound[known] = row_checksums(np.ascontiguousarray(stored[rows[known]])) == expected[at]
        return sound

    def _select_of(self, video_ids: NDArray[np.int64], columns: str) -> list[tuple[Any, ...]]:
        sql = f"SELECT {columns} FROM videos WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY video_id"
        return self.select(sql, [json.dumps(video_ids.tolist())])

    def _expected(self, video_ids: NDArray[np.int64], column: str) -> NDArray[np.uint64]:
        """Checksums of all rows of videos, video by video."""
        found = self._select_of(video_ids, column)
        return np.frombuffer(b"".join(content for (content,) in found), "<u8")

    def _joined(self, column: str, first_id: int = 0) -> bytes:
        parts = self.select(f"SELECT video_id, {column} FROM videos WHERE video_id >= ? ORDER BY video_id", [first_id])
        kept = set(self.rows.video_ids.tolist())
        return b"".join(content for video_id, content in parts if video_id in kept)

    def _table(self, before: "Snapshot | None") -> tuple[RowTable, list[str]]:
        """The rows of the videos, and what is said of those that are not all in the file."""
        known = np.empty((0, 3), np.int64)
        if before is not None and len(before.rows.video_ids):
            table = before.rows
            known = np.stack([table.video_ids, table.first_rows, table.num_rows], axis=1)
        found = self._rows_from(int(known[-1, 1:].sum()) if len(known) else 0)
        if _sums(np.concatenate([known, found])[:, 0]) != self.select(_SUMS)[0]:  # some are gone
            known, found = known[:0], self._rows_from(0, _HAS_PLACE)
        ids, first_rows, num_rows = np.concatenate([known, found]).T
        is_whole = first_rows + num_rows <= len(self.vectors)
        lost = ids[~is_whole]
        missing = [
            f"the vectors of '{printable(unescaped(path))}' are missing in '{self.row_facts.vectors}'"
            for (path,) in self.select(
                "SELECT path FROM places WHERE video_id IN (SELECT value FROM json_each(?))",
                [json.dumps(lost.tolist())],
            )
        ]
        ids, first_rows, num_rows = (np.ascontiguousarray(column[is_whole]) for column in (ids, first_rows, num_rows))
        return RowTable(ids, first_rows, num_rows, len(self.vectors)), missing

    def _rows_from(self, first_row: int, condition: str = "") -> NDArray[np.int64]:
        found = self.select(_ROWS.format(condition), [first_row])
        return np.fromiter(chain.from_iterable(found), np.int64, 3 * len(found)).reshape(-1, 3)


def vector_file(folder: Path, facts: IndexFacts, rows: RowFacts) -> RowFile:
    """The file of clips' vectors."""
    return RowFile(folder / rows.vectors, "<f4", (facts.embedding_dim,))


def block_file(folder: Path, facts: IndexFacts, rows: RowFacts) -> RowFile | None:
    """The file of blocks' vectors; None where they are not known."""
    if rows.blocks is None:
        return None
    return RowFile(folder / rows.blocks, "<f2", (rows.num_blocks, facts.block_dim))


def _mapped_rows(
    folder: Path, facts: IndexFacts, rows: RowFacts
) -> tuple[NDArray[np.float32], NDArray[np.float16] | None]:
    """Vectors and blocks of an index as its files hold them.

    Raises:
        FileNotFoundError: The file of vectors is gone.
    """
    blocks, found = block_file(folder, facts, rows), None
    if blocks is not None and blocks.path.exists():
        found = blocks.mapped(rows.total_rows)
    return vector_file(folder, facts, rows).mapped(rows.total_rows), found


def _sums(video_ids: NDArray[np.int64]) -> tuple[int, float, float]:
    """What tells whether two sets of videos are the same."""
    return len(video_ids), float(video_ids.sum()), float((video_ids * video_ids % 1_000_003).sum())
