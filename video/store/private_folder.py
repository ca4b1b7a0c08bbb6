"""A folder for what is made for a while, for this user alone, which ends with who made it.

    with private_folder("web") as folder: ...           # /tmp/cocon-web-x1y2z3

Who is killed cannot tidy up: the next one does. Each holds the lock of its own folder as long as it lives.
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

__all__ = ["place_on_disk", "private_folder"]

# Where the system's own place for temporary files is memory, this one is not (FHS 5.15).
_ON_DISK = Path("/var/tmp")


@contextmanager
def private_folder(name: str, place: Path | None = None) -> Iterator[Path]:
    """Make one, and remove it at the end; and those of this name that were left there.

    Args:
        name: what it is for, a word.
        place: where it lies; the system's folder for temporary files if None.

    Raises:
        StorageError: The disk takes no more.
    """
    place, prefix = place or Path(tempfile.gettempdir()), f"cocon-{name}-"
    _remove_left(place, prefix)
    new = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=place))
    with folder_lock(new, "private folder"):
        folder = new.rename(new.with_name(new.name.removeprefix(".")))  # locked, it may be seen
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def place_on_disk() -> Path:
    """Where temporary files take disk rather than memory: `TMPDIR` where that is set, else `/var/tmp`."""
    if "TMPDIR" not in os.environ and os.access(_ON_DISK, os.W_OK):
        return _ON_DISK
    return Path(tempfile.gettempdir())


def _remove_left(place: Path, prefix: str) -> None:
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError, CoconError):  # somebody is at work, or it is gone
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                with folder_lock(folder, "private folder"):
                    shutil.rmtree(folder, ignore_errors=True)
