"""One writer per folder; readers need no lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cocon.video.errors import UsageError

__all__ = ["folder_lock"]


@contextmanager
def folder_lock(folder: Path, what: str) -> Iterator[None]:
    """Be the only writer of a folder; the system lets go when the process ends, however it ends.

    Args:
        folder: it must exist; its file `writer.lock` is locked and names the writer while there is one.
        what: the folder holds, for the message: `index`, `views folder`.

    Raises:
        UsageError: another process is writing.
    """
    with (folder / "writer.lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise UsageError(
                f"{what} '{folder}' is being written by process {stream.read().strip()}; try again when it is done"
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
