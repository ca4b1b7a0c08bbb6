"""Making an index small again: the rows of videos that were removed go, and all others move up. Ids stay.

New files are written beside the old ones, and one commit turns the index over to them. Who reads meanwhile goes on with
the files that he has opened.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.answers.kept_lists import keep_lists
from cocon.client.index.catalogue.schema import VIDEO_COLUMNS, record_checksum
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.preparing import new_name
from cocon.client.index.files.row_file import RowFile
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.files.snapshot import block_file, vector_file
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.records import RowFacts
from cocon.client.index.search.lists.building import make_lists
from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.search.lists.rules import lists_task
from cocon.client.index.upkeep.list_checks import list_findings
from cocon.client.index.upkeep.row_pieces import copy_rows
from cocon.core.errors import MismatchError
from cocon.core.progress import OnProgress

__all__ = ["CompactReport", "compact"]

_FIRST_ROW = VIDEO_COLUMNS.index("first_row")


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What a compaction did.

    Attributes:
        num_clips: Rows that stay.
        num_dropped: Rows that went.
        bytes_before: Of the folder's files.
        bytes_after: Likewise.
    """

    num_clips: int
    num_dropped: int
    bytes_before: int
    bytes_after: int


def compact(folder: Path, on_progress: OnProgress, *, wait_s: float = 0.0) -> CompactReport:
    """Drop the rows of no video, and build the lists of a large index that has none, or too short ones.

    Args:
        folder: Of the index, which exists.
        on_progress: Called with rows done, of how many; anew for the lists.
        wait_s: How long to wait for another writer.

    Raises:
        UsageError: Somebody else is writing, or the folder cannot be written.
        MismatchError: It is damaged.
        StorageError: The disk takes no more; the index stays as it is.
    """
    before = _bytes_of(folder)
    with IndexWriter(folder, wait_s=wait_s) as writer:
        table = _table(writer)
        num_dropped = table.total_rows - table.num_live
        if num_dropped:
            _Compaction(writer, table, on_progress).run()
        _forget_damaged_lists(writer)
        keep_lists(writer, on_progress)
        writer.shrink()
    return CompactReport(table.num_live, num_dropped, before, _bytes_of(folder))


class _Compaction:
    def __init__(self, writer: IndexWriter, table: RowTable, on_progress: OnProgress) -> None:
        self._writer = writer
        self._table = table
        self._on_progress = on_progress
        self._done = 0

    def run(self) -> None:
        """Write the new files, lists included where they are due, and turn over to them in one commit."""
        old = self._writer.row_facts
        new = RowFacts(
            new_name("vectors"), new_name("blocks") if old.blocks else None, old.num_blocks, self._table.num_live
        )
        try:
            for source, target in zip(self._files(old), self._files(new), strict=True):
                copy_rows(source, self._table.rows_of(np.arange(len(self._table.video_ids))), target, self._note)
            self._turn_over(new, self._lists(new))
        except BaseException:
            if self._writer.row_facts != new:  # not committed
                for file in self._files(new):
                    with suppress(OSError):  # the next writer may
                        file.path.unlink(missing_ok=True)
            raise

    def _files(self, rows: RowFacts) -> list[RowFile]:
        folder, facts = self._writer.folder, self._writer.facts
        return [file for file in (vector_file(folder, facts, rows), block_file(folder, facts, rows)) if file]

    def _note(self, count: int) -> None:
        self._done += count
        self._on_progress(self._done, self._table.num_live * (2 if self._writer.row_facts.blocks else 1))

    def _lists(self, new: RowFacts) -> ListsRecord | None:
        """Lists of the rows where they will be; the old ones name rows that are elsewhere then."""
        facts, folder = self._writer.facts, self._writer.folder
        table = replace(self._table, first_rows=self._new_firsts, total_rows=new.total_rows)
        known, record = self._writer.fact("lists"), None
        with suppress(MismatchError):  # of another release
            record = None if known is None else ListsRecord.from_json(known)
        if (
            record is not None
            and record.file is None
            and lists_task(record, table.num_live, 0, facts.embedding_dim) == "keep"
        ):
            return replace(record, covered_rows=new.total_rows)  # none help, which takes minutes to find out
        if lists_task(None, table.num_live, 0, facts.embedding_dim) == "keep":
            return None
        vectors = vector_file(folder, facts, new).mapped(new.total_rows)
        sums = self._writer.select("SELECT checksums FROM videos ORDER BY video_id")
        sound = row_checksums(vectors) == np.frombuffer(b"".join(content for (content,) in sums), "<u8")
        path, rows = folder / new_name("lists"), np.flatnonzero(sound)
        return make_lists(path, vectors, table, rows, on_progress=self._on_progress)

    @property
    def _new_firsts(self) -> NDArray[np.int64]:
        return np.cumsum(self._table.num_rows) - self._table.num_rows

    def _turn_over(self, new: RowFacts, lists: ListsRecord | None) -> None:
        firsts = self._new_firsts
        with self._writer.transaction() as connection:
            # In the order of rows each moves where none is yet, or is no more.
            for video_id, first_row in zip(self._table.video_ids.tolist(), firsts.tolist(), strict=True):
                ((*record,),) = connection.execute(
                    f"SELECT {', '.join(VIDEO_COLUMNS)} FROM videos WHERE video_id = ?", [video_id]
                )
                record[_FIRST_ROW] = first_row
                connection.execute(
                    "UPDATE videos SET first_row = ?, checksum = ? WHERE video_id = ?",
                    [first_row, record_checksum(*record), video_id],
                )
            connection.execute("DELETE FROM facts WHERE key = 'lists'")
            if lists is not None:
                self._writer.put_fact("lists", lists.to_json())
            self._writer.use_rows(new)


def _forget_damaged_lists(writer: IndexWriter) -> None:
    """They are made anew."""
    facts = {"lists": writer.fact("lists")}
    if list_findings(writer.folder, facts, writer.row_facts.total_rows):
        with writer.transaction() as connection:
            connection.execute("DELETE FROM facts WHERE key = 'lists'")


def _table(writer: IndexWriter) -> RowTable:
    found = writer.select("SELECT video_id, first_row, num_rows FROM videos ORDER BY video_id")
    ids, firsts, counts = np.array(found, np.int64).reshape(-1, 3).T.copy()
    table = RowTable(ids, firsts, counts, writer.row_facts.total_rows)
    if (np.diff(firsts) < counts[:-1]).any() or (len(ids) and table.end_rows[-1] > table.total_rows):
        raise MismatchError("videos share rows of the index; run 'client index rebuild'")
    return table


def _bytes_of(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        with suppress(OSError):
            total += path.stat().st_size
    return total
