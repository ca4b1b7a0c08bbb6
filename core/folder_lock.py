"""One writer per folder; readers need no lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from weakref import WeakSet

from cocon.core.errors import UsageError

__all__ = ["LOCK_FILE", "folder_lock"]

LOCK_FILE = "writer.lock"

_held: WeakSet[TextIO] = WeakSet()


def _close_all() -> None:
    for stream in list(_held):
        stream.close()


# Or else the children of a writer that was killed would go on holding its lock.
os.register_at_fork(after_in_child=_close_all)


@contextmanager
def folder_lock(folder: Path, what: str) -> Iterator[None]:
    """Be the only writer of a folder; the system lets go when the process ends, however it ends.

    Args:
        folder: it must exist; its file `writer.lock` is locked and names the writer while there is one.
        what: the folder holds, for the message: `index`, `views folder`.

    Raises:
        UsageError: another process is writing.
    """
    with (folder / LOCK_FILE).open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise UsageError(
                f"{what} '{folder}' is being written by process {stream.read().strip()}; try again when it is done"
            ) from error
        _held.add(stream)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
