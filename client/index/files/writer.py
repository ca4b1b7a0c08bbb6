"""The one writer of an index. What it has committed survives a power cut; a kill at any moment leaves a whole index.

A commit: the rows are written and on the disk; SQLite commits to its log, and copies that into the catalogue, both on
the disk; the seal is replaced. Only then is a video acknowledged. A writer that finds a seal that fits forgets what the
log holds, which nobody was told of.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.places import Description
from cocon.client.index.catalogue.tables import put_fact, read_fact
from cocon.client.index.catalogue.translation import translated
from cocon.client.index.files.leftovers import remove_leftovers
from cocon.client.index.files.page_sums import PageSums
from cocon.client.index.files.preparing import create_index, open_to_write, settle
from cocon.client.index.files.proven import CATALOG_FILE, log_of
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.row_file import RowFile
from cocon.client.index.files.seal import Seal
from cocon.client.index.files.snapshot import Snapshot, block_file, vector_file
from cocon.client.index.records import IndexFacts, RowFacts
from cocon.core.errors import UsageError
from cocon.core.folder_lock import folder_lock
from cocon.core.printable import printable

__all__ = ["IndexWriter"]


class IndexWriter:
    """An index open for writing. A context manager, for one thread; others wait or are refused.

    Args:
        folder: Of the index.
        new: What it is to be made for, and N, when there is none yet.
        wait_s: How long to wait for another writer.

    Attributes:
        facts: What the index is made for.
        row_facts: Where its rows are, and how many are committed.

    Raises:
        UsageError: Somebody else is writing, or the folder cannot be written.
        StorageError: The disk takes no more.
        MismatchError: The catalogue is damaged, or a newer version has written it.
    """

    def __init__(self, folder: Path, *, new: tuple[IndexFacts, int] | None = None, wait_s: float = 0.0) -> None:
        self.folder = folder
        self._path = folder / CATALOG_FILE
        self._snapshot: Snapshot | None = None
        with ExitStack() as held:
            held.enter_context(folder_lock(folder, "index", wait_s=wait_s))
            with translated(self._path):
                if not self._path.exists() and new is not None:
                    create_index(folder, *new)
                self._pages = settle(folder)
                self._connection = held.enter_context(closing(open_to_write(self._path)))
                self.facts = IndexFacts.from_json(self.fact("index"))
                self._read_rows()
                self._is_sealed = self._pages is not None and not self._pages.take_header()
                if self._pages is None:
                    _make_sound(self._connection)
                held.callback(self._finish)
                self._finish()
            remove_leftovers(folder, self._named_files())
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with translated(self._path):
            self._held.close()

    def fact(self, key: str) -> Any:  # noqa: ANN401  # JSON
        """A named JSON value; None where there is none."""
        return read_fact(self.select, key)

    def select(self, sql: str, parameters: list[Any] | tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Ask the catalogue, what the present transaction has done included."""
        with translated(self._path):
            return self._connection.execute(sql, parameters).fetchall()

    def snapshot(self) -> Snapshot:
        """What readers see now; what was found out of the last one asked for is not found out again."""
        self._snapshot = open_snapshot(self.folder, self._snapshot)
        return self._snapshot

    @property
    def connection(self) -> sqlite3.Connection:
        """Of the catalogue, for changes within a `transaction`."""
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All changes inside are committed together, and are on the disk afterwards; or none is.

        Raises:
            StorageError: The disk takes no more.
        """
        with translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                put_fact(self._connection, "previous_epoch", self.fact("epoch"))
                put_fact(self._connection, "epoch", secrets.token_hex(16))
                if self._next_row != self.row_facts.total_rows:
                    put_fact(self._connection, "rows", asdict(replace(self.row_facts, total_rows=self._next_row)))
                self._is_sealed = False
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself has rolled back where a disk is full
                    self._connection.execute("ROLLBACK")
                self._read_rows()
                raise
            self._read_rows()
            self._finish()

    def check_known(self, path: str, known: Description) -> None:
        """Nothing: a folder keeps whatever is known of a video."""

    def append(self, vectors: NDArray[np.float32], blocks: NDArray[np.float16] | None) -> int:
        """Write rows behind the others; they count when a transaction that follows commits.

        Args:
            vectors: `float32 [K, D]`.
            blocks: `float16 [K, N, D]`; None if the index keeps none.

        Returns:
            The number of the first.

        Raises:
            StorageError: The disk takes no more.
        """
        first_row = self._next_row
        for file, rows in ((self._vectors, vectors), (self._blocks, blocks)):
            if file is not None and rows is not None:
                file.write(first_row, rows)
        self._next_row += len(vectors)
        return first_row

    def put_fact(self, key: str, value: object) -> None:
        """Set a named JSON value within a transaction."""
        put_fact(self._connection, key, value)

    def use_rows(self, rows: RowFacts) -> None:
        """Within a transaction: from now on the rows are in other files."""
        put_fact(self._connection, "rows", asdict(rows))
        self._next_row = rows.total_rows
        self.row_facts = rows

    def shrink(self) -> None:
        """Give back the room of what was forgotten, and remove files that are the index's no more.

        Raises:
            StorageError: The disk takes no more; the index stays as it is.
        """
        with translated(self._path):
            self._is_sealed = False
            self._connection.execute("VACUUM")
            self._finish()
        remove_leftovers(self.folder, self._named_files())

    @property
    def _vectors(self) -> RowFile:
        return vector_file(self.folder, self.facts, self.row_facts)

    @property
    def _blocks(self) -> RowFile | None:
        return block_file(self.folder, self.facts, self.row_facts)

    def _read_rows(self) -> None:
        self.row_facts = RowFacts(**self.fact("rows"))
        self._next_row = self.row_facts.total_rows

    def _named_files(self) -> set[str]:
        lists = self.fact("lists") or {}
        return {name for name in (self.row_facts.vectors, self.row_facts.blocks, lists.get("file")) if name}

    def _finish(self) -> None:
        """Bring the log into the catalogue, and seal it, unless that is done."""
        if self._is_sealed:
            return
        busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise UsageError(
                f"catalogue '{printable(self._path)}' is read by another program for too long; end it, and try again"
            )
        pages = PageSums(self._path) if self._pages is None else self._pages.take_log(log_of(self._path))
        Seal.of_pages(self.fact("epoch"), pages).write(self.folder)
        self._pages = pages
        self._is_sealed = True


def _make_sound(connection: sqlite3.Connection) -> None:
    """Make anew what was not proven when the records were: lookups, and free pages."""
    connection.execute("REINDEX")
    if connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
        connection.execute("VACUUM")
