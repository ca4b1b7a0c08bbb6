"""What SQLite says of a catalogue, in our words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cocon.core.errors import CoconError, MismatchError, StorageError, UsageError
from cocon.core.printable import in_one_line, printable

__all__ = ["translated"]


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """The one place where SQLite's errors become ours.

    Args:
        path: Of the catalogue that the block works on.

    Raises:
        StorageError: The disk takes no more, or fails.
        UsageError: It may not be opened or written, or another program holds it.
        MismatchError: It is damaged, or none.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged text, or a message of SQLite that quotes one
        raise _translation(f"catalogue '{printable(path)}'", error) from error


def _translation(named: str, error: sqlite3.Error | UnicodeDecodeError) -> CoconError:
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF:  # the kind
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return StorageError(f"{named} cannot be written: {error}; make room and run the same again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return UsageError(f"{named} cannot be opened or written: {error}; see the permissions of its folder")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return UsageError(f"{named} is used by another program ({error}); try again when it is done")
        case sqlite3.SQLITE_NOMEM:
            return StorageError(f"{named} does not fit into memory; free some and run the same again")
        case _:
            return MismatchError(
                f"{named} is damaged: {in_one_line(error)}; 'client index rebuild' keeps what is sound, "
                "adding the videos again brings back the rest"
            )
