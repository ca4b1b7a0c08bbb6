"""Opening an index for reading, whatever state it was left in."""

import os
from pathlib import Path

from cocon.client.index.files.earlier import earlier_snapshot
from cocon.client.index.files.proven import CATALOG_FILE, checked, log_of, proven, recovered, written_schema
from cocon.client.index.files.seal import SEAL_FILE, Seal
from cocon.client.index.files.snapshot import Snapshot
from cocon.core.errors import MismatchError
from cocon.core.printable import printable

__all__ = ["open_snapshot", "state_of"]

# How often it is tried anew when a writer has gone on meanwhile.
_MAX_TRIES = 20
_NAMES = (SEAL_FILE, CATALOG_FILE, log_of(Path(CATALOG_FILE)).name)


def state_of(folder: Path) -> tuple[object, ...]:
    """What changes when an index does; three looks at the disk."""
    start = os.fspath(folder)  # every search looks, and paths as objects would take longer than the looks
    return tuple(_look(f"{start}{os.sep}{name}") for name in _NAMES)


def open_snapshot(folder: Path, before: Snapshot | None = None) -> Snapshot:
    """The state of an index.

    Args:
        folder: Of the index, which exists.
        before: An older state of it, whose work need not be done again.

    Raises:
        FileNotFoundError: It has no catalogue.
        MismatchError: It is damaged beyond what can be left out, or a newer version has written it.
        UsageError: It may not be read.
    """
    for _ in range(_MAX_TRIES):
        seal = Seal.read(folder)
        try:
            return _opened(folder, before)
        except (MismatchError, FileNotFoundError):
            if Seal.read(folder) == seal:
                raise
    raise MismatchError(f"index '{printable(folder)}' changes faster than it can be read; try again")


def _opened(folder: Path, before: Snapshot | None) -> Snapshot:
    found = proven(folder)
    if found is None:
        with recovered(folder) as connection:
            if written_schema(connection, folder) == 1:
                return earlier_snapshot(folder, connection)
            found = checked(connection, folder)
    try:
        return Snapshot(folder, found, before=before)
    except FileNotFoundError as error:
        raise MismatchError(
            f"index '{printable(folder)}' has lost its vectors ('{Path(error.filename).name}'); restore a backup, or "
            "add the videos again after 'client index rebuild'"
        ) from error


def _look(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
