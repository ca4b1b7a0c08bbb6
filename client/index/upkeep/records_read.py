"""What of a catalogue can be read, record by record: sound ones, and what is said of the others.

A page that is damaged hides the records on it, and not those behind it.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cocon.client.index.catalogue.schema import record_checksum
from cocon.client.index.catalogue.translation import translated
from cocon.client.index.files.proven import CATALOG_FILE, any_text, proven, recovered
from cocon.core.printable import in_one_line

__all__ = ["TableRead", "catalogue_as_it_is", "damage_of"]

# Records that are looked for behind a damaged page before the table is held to end there.
_MAX_MISSES = 50_000
_MAX_DAMAGE = 20


@contextmanager
def catalogue_as_it_is(folder: Path) -> Iterator[tuple[sqlite3.Connection, bool]]:
    """The catalogue of a folder, damaged or not; nothing in the folder changes.

    Yields:
        A connection to it or to a copy, and whether the seal fits it.

    Raises:
        FileNotFoundError: There is none.
        MismatchError: SQLite cannot read it, or a newer version has written it.
    """
    found = proven(folder)
    if found is None:
        with recovered(folder) as connection, any_text(connection):
            yield connection, False
        return
    with closing(found.connection), any_text(found.connection):
        yield found.connection, True


def damage_of(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the form of a catalogue, a sentence each."""
    try:
        lines = [line for (line,) in connection.execute(f"PRAGMA integrity_check({_MAX_DAMAGE})")]
    except sqlite3.Error as error:
        lines = [str(error)]
    # Of a header line and what follows it, what follows says more.
    return [in_one_line(line.removeprefix("*** in database main ***")) for line in lines if line != "ok"]


class TableRead:
    """Reading one table.

    Args:
        connection: To the catalogue.
        folder: Of the index.
        table: Its name.
        columns: Without the checksum.
        on_bad: Called with the values of a record that its checksum does not fit.

    Attributes:
        tally: Exclusive or of the checksums of what was read.
        has_gaps: Whether pages could not be read.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        folder: Path,
        table: str,
        columns: Sequence[str],
        on_bad: Callable[[list[Any]], None],
    ) -> None:
        self._connection = connection
        self._path = folder / CATALOG_FILE
        self._sql = (
            f"SELECT rowid, {', '.join(columns)}, checksum FROM {table} NOT INDEXED WHERE rowid > ? ORDER BY rowid"
        )
        self._on_bad = on_bad
        self.tally = 0
        self.has_gaps = False

    def __iter__(self) -> Iterator[list[Any]]:
        """The sound records."""
        for *values, checksum in self._records():
            if isinstance(checksum, int):
                self.tally ^= checksum
            if record_checksum(*values) == checksum:
                yield values
            else:
                self._on_bad(values)

    def _records(self) -> Iterator[list[Any]]:
        last, misses = -1, 0
        with translated(self._path):  # no such table
            self._connection.execute(self._sql + " LIMIT 0", [0])
        while misses < _MAX_MISSES:
            try:
                for rowid, *values in self._connection.execute(self._sql, [last]):
                    last, misses = rowid, 0
                    yield values
                return
            except sqlite3.Error:
                self.has_gaps = True
                last, misses = last + 1, misses + 1
