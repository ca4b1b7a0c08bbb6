"""Opening the file of a catalogue: to read and write, or where nothing can be written, to read alone."""

import os
import shutil
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from cocon.core.errors import CoconError, MismatchError, StorageError, UsageError
from cocon.core.printable import in_one_line

__all__ = ["CatalogFile", "connect", "translation"]

# What SQLite says where the files beside a catalogue, of which a reader needs some too, cannot be made.
_NO_SIDE_FILES = (
    sqlite3.SQLITE_READONLY_DIRECTORY,
    sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_WRITE,
)


class CatalogFile:
    """The connection to a catalogue, and what it rests on.

    Args:
        path: `catalog.sqlite`, which exists.

    Attributes:
        connection: In autocommit mode.
        why_read_only: What SQLite said where it can only be read; None otherwise.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self.why_read_only: sqlite3.OperationalError | None = None
        with ExitStack() as held:
            self.connection = self._opened(held)
            held.callback(self.connection.close)
            self._held = held.pop_all()

    def check_unchanged(self) -> None:
        """Raise `UsageError` if a file that is read without locks has changed meanwhile."""
        if self._seen is not None and self._seen != _state(self._path):
            raise UsageError(f"catalogue '{self._path}' was written to while it was read; try again")

    def close(self) -> None:
        """Close the connection."""
        self._held.close()

    def _opened(self, held: ExitStack) -> sqlite3.Connection:
        try:
            return connect(self._path)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _NO_SIDE_FILES or not os.access(self._path, os.R_OK):
                raise
            self.why_read_only = error
        log = self._path.with_name(f"{self._path.name}-wal")
        if not log.exists() or not log.stat().st_size:
            self._seen = _state(self._path)
            return connect(self._path, "immutable=1")
        # Of a writer that was killed: what it committed is in the log, which cannot be followed in place.
        aside = Path(held.enter_context(TemporaryDirectory(prefix="cocon-index-")))
        for source in (self._path, log):
            shutil.copyfile(source, aside / source.name)
        return connect(aside / self._path.name)


def translation(named: str, error: sqlite3.Error, file: CatalogFile | None) -> CoconError:
    """What SQLite says in our words.

    Args:
        named: what it says it of, such as `catalogue 'index/catalog.sqlite'`.
        error: its own.
        file: where it was opened; that it can only be read has a reason, which is what is told.
    """
    if file and file.why_read_only and error.sqlite_errorcode == sqlite3.SQLITE_READONLY:
        error = file.why_read_only
    match error.sqlite_errorcode & 0xFF:  # the kind
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return StorageError(f"{named} cannot be written: {error}; make room and run the same again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return UsageError(f"{named} cannot be opened or written: {error}; see the permissions of its folder")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return UsageError(f"{named} is used by another process ({error}); try again when it is done")
        case _:
            return MismatchError(f"{named} cannot be used: {in_one_line(error)}; index the videos anew")


def connect(path: Path, how: str = "mode=rw") -> sqlite3.Connection:
    """Open a database that exists, and look into it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        # A power cut may undo the last videos but never damages the file; the next run adds them again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA schema_version")
    except BaseException:
        connection.close()
        raise
    return connection


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
