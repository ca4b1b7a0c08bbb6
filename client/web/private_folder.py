"""A folder for what is uploaded and made, for this user alone, which ends with the server.

A server that is killed cannot tidy up: the next one does. Each holds the lock of its own folder as long as it lives.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cocon.core.errors import CoconError
from cocon.core.folder_lock import folder_lock

__all__ = ["private_folder"]

_PREFIX, _NEW_PREFIX = "cocon-web-", ".cocon-web-"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make one in the system's folder for temporary files, and remove it at the end; and those that were left there.

    Raises:
        StorageError: The disk takes no more.
    """
    place = Path(tempfile.gettempdir())
    _remove_left(place)
    new = Path(tempfile.mkdtemp(prefix=_NEW_PREFIX, dir=place))
    with folder_lock(new, "private folder"):
        folder = new.rename(new.with_name(_PREFIX + new.name.removeprefix(_NEW_PREFIX)))  # locked, it may be seen
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_left(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError, CoconError):  # somebody is serving, or it is gone
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                with folder_lock(folder, "private folder"):
                    shutil.rmtree(folder, ignore_errors=True)
