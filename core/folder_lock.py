"""One writer per folder; readers need no lock."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cocon.core.errors import UsageError
from cocon.core.storage import refused

__all__ = ["LOCK_FILE", "folder_lock", "writer_of"]

_logger = logging.getLogger(__name__)

LOCK_FILE = "writer.lock"

# The first byte says nothing: Windows lets nobody else read the byte that is locked.
_UNREAD = 1


@contextmanager
def folder_lock(folder: Path, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Be the only writer of a folder; the system lets go when the process ends, however it ends.

    Children that are forked meanwhile hold nothing.

    Args:
        folder: it must exist; its file `writer.lock` is locked and names the writer while there is one.
        what: the folder holds, for the message: `index`, `views folder`.
        wait_s: how long to wait for another writer.

    Raises:
        UsageError: another process is writing, or the folder cannot be written.
        StorageError: the disk takes no more.
    """
    path, descriptors = folder / LOCK_FILE, list[int]()
    lock = FileLock(path, timeout=wait_s, thread_local=False, fallback_to_soft=False, on_acquired=descriptors.append)
    try:
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            if not wait_s:
                raise
            _logger.warning("%s '%s' is being written by %s; waiting up to %g s", what, folder, _holder(folder), wait_s)
            held = lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"{what} '{folder}' is being written by {_holder(folder)}; try again when it is done"
        ) from error
    except OSError as error:
        raise refused(error, f"{what} '{folder}'") from error
    with held:
        with suppress(OSError):  # a full disk need not know who holds the lock
            os.truncate(descriptors[0], 0)
            os.write(descriptors[0], b" " * _UNREAD + str(os.getpid()).encode())
        try:
            yield
        finally:
            if lock.is_locked:  # or else this is a forked child, and the descriptor perhaps another file's
                os.truncate(descriptors[0], 0)


def writer_of(folder: Path) -> str:
    """The process that writes a folder, as its lock file names it; empty if none does, or it was killed."""
    try:
        named = _writer(folder / LOCK_FILE)
    except FileNotFoundError:
        return ""
    except OSError:  # it is somebody else's
        return "?"
    if os.name == "posix" and named.isdigit():
        try:
            os.kill(int(named), 0)
        except ProcessLookupError:
            return ""
        except PermissionError:  # it is somebody else's
            return named
    return named


def _holder(folder: Path) -> str:
    """Who holds a lock; he may not have written his name yet, over that of a process which was killed."""
    named = writer_of(folder)
    return f"process {named}" if named.isdigit() else "another process"


def _writer(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        stream.seek(_UNREAD)
        return stream.read().decode().strip()
