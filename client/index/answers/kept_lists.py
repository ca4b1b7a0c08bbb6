"""The lists of an index: built when it is large, made longer and anew as it grows; opened where they are whole."""

import logging
from functools import cached_property
from typing import Any

import numpy as np

from cocon.client.index.files.preparing import new_name
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.search.lists.building import extended_lists, make_lists
from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.search.lists.row_lists import RowLists
from cocon.client.index.search.lists.rules import lists_task
from cocon.core.errors import MismatchError
from cocon.core.progress import OnProgress, no_progress

__all__ = ["OpenedLists", "keep_lists"]

_FACT = "lists"
_logger = logging.getLogger(__name__)


def keep_lists(writer: IndexWriter, on_progress: OnProgress = no_progress) -> bool:
    """Build the lists of an index, or make them longer, if that is due. Searches go on with the old ones meanwhile.

    Args:
        writer: Of the index, in no transaction.
        on_progress: Called with how many rows were seen, and how many will be.

    Returns:
        Whether there are new ones, which are committed, or none because none help, which is remembered.

    Raises:
        StorageError: The disk takes no more; the old ones are kept.
    """
    record, dim = _record(writer.fact(_FACT)), writer.facts.embedding_dim
    task = lists_task(record, *_counts(writer, record), dim)
    if task == "keep":
        return False
    snapshot = writer.snapshot()
    rows = np.setdiff1d(np.flatnonzero(snapshot.rows.live), snapshot.unsound, assume_unique=True)
    path, made = writer.folder / new_name("lists"), None
    if task == "extend" and record is not None:
        try:
            made = extended_lists(path, record, snapshot.vectors, snapshot.rows, rows, on_progress=on_progress)
        except MismatchError as error:
            _logger.warning("%s; the lists are built anew", error)
    if made is None:
        made = make_lists(path, snapshot.vectors, snapshot.rows, rows, on_progress=on_progress)
    with writer.transaction():
        writer.put_fact(_FACT, made.to_json())
    if record is not None and record.file is not None:
        (writer.folder / record.file).unlink(missing_ok=True)  # who has it open reads on
    return True


class OpenedLists:
    """The lists of a snapshot, opened when first asked for; for one thread at a time.

    Args:
        snapshot: Of the index.
        before: Of an older snapshot; the same lists are not opened again.
    """

    def __init__(self, snapshot: Snapshot, before: "OpenedLists | None" = None) -> None:
        self._snapshot = snapshot
        self._opened: tuple[ListsRecord | None, RowLists | None] | None = before._opened if before else None

    @property
    def rows(self) -> RowLists | None:
        """None where there are none, or they are damaged: then every vector is compared."""
        record = self._record
        if self._opened is None or self._opened[0] != record:
            self._opened = record, self._open(record)
        return self._opened[1]

    @cached_property
    def _record(self) -> ListsRecord | None:
        try:
            return _record(self._snapshot.fact(_FACT))
        except MismatchError as error:
            _logger.warning("%s; until then every vector is compared", error)
            return None

    def _open(self, record: ListsRecord | None) -> RowLists | None:
        if record is None or record.file is None:
            return None
        try:
            return RowLists.open(self._snapshot.folder, record, self._snapshot.facts.embedding_dim)
        except MismatchError as error:
            _logger.warning("%s; until then every vector is compared", error)
            return None


def _record(content: dict[str, Any] | None) -> ListsRecord | None:
    return None if content is None else ListsRecord.from_json(content)


def _counts(writer: IndexWriter, record: ListsRecord | None) -> tuple[int, int]:
    """Rows of videos, and those of them that are not in the lists."""
    sql = "SELECT total(num_rows), total(num_rows) FILTER (WHERE first_row >= ?) FROM videos"
    num_live, num_tail = writer.select(sql, [record.covered_rows if record else 0])[0]
    return int(num_live), int(num_tail)
