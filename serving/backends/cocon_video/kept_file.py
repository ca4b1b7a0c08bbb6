"""The bytes of a request as a file that a decoder can open; gone when the request is answered.

A worker that is killed leaves its folder behind. Each is held by a lock, so the next worker to start knows which are
still in use and removes the others, as does one that works.
"""

import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from cocon.core.closing import Closing
from cocon.core.errors import ServerError

__all__ = ["FileKeeper"]

_PREFIX = "cocon-video-"
_LOCK = ".lock"
# A folder that is so new may be about to be locked.
_NEW_S = 60.0


class FileKeeper(Closing):
    """A folder of this process in the system's place for temporary files (`TMPDIR`)."""

    def __init__(self) -> None:
        self._looked_s = -math.inf
        self._look()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = FileLock(self._folder / _LOCK, blocking=False, thread_local=False, fallback_to_soft=False)
        self._lock.acquire()

    @contextmanager
    def kept(self, content: NDArray[np.uint8], suffix: str) -> Iterator[Path]:
        """A file of these bytes within the block.

        Args:
            content: `uint8 [num_bytes]`.
            suffix: Ending of its name.

        Raises:
            ServerError: The disk is full.
        """
        self._look()
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            path = Path(folder) / f"video{suffix}"
            try:
                path.write_bytes(content.data)
            except OSError as error:
                raise ServerError(f"the server has no room for the video: {error.strerror}; try again later") from error
            yield path

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()

    def _look(self) -> None:
        """Look for what others have left, now and then: who was killed just now may have been replaced at once."""
        if time.monotonic() - self._looked_s > _NEW_S:
            _remove_leftovers()
            self._looked_s = time.monotonic()


def _remove_leftovers() -> None:
    """Remove what killed workers of this user have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout):
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if not is_ours or time.time() - found.st_mtime < _NEW_S:
                continue
            with FileLock(folder / _LOCK, blocking=False, fallback_to_soft=False):
                shutil.rmtree(folder, ignore_errors=True)
