"""One writer per index; readers need no lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cocon.video.errors import UsageError

__all__ = ["writer_lock"]


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Be the only writer of an index folder; the system lets go when the process ends, however it ends.

    Raises:
        UsageError: Another process is writing.
    """
    with (folder / "writer.lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise UsageError(
                f"index '{folder}' is being written by process {stream.read().strip()}; try again when it is done"
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
