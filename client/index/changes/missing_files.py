"""Which videos of an index are gone from the disk, and whether that can be believed: a disk may not be mounted."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cocon.client.fetching.urls import is_remote
from cocon.client.index.catalogue.file_stamp import FileStamp

__all__ = ["doubtful_folders", "is_gone", "is_surely_gone"]


def is_gone(path: str) -> bool:
    """Whether no file is at a path; one that cannot be reached is not gone, nor is a URL."""
    if is_remote(path):
        return False
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def is_surely_gone(path: str) -> bool:
    """The same, and that its disk is there."""
    return is_gone(path) and not doubtful_folders({path: None}, ())


def doubtful_folders(gone: Mapping[str, FileStamp | None], living: Iterable[str]) -> dict[str, int]:
    """Folders whose disk may not be mounted, and how many files of each are gone with it.

    A folder that is gone itself, or empty, is one, unless another file of the index still lies beside it on the same
    disk. What was a mount point is an empty folder, or none, when nothing is mounted.

    Args:
        gone: Path of each file that is gone → its stamp, as far as that is known.
        living: Those that are not.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for path, stamp in gone.items():
        missing, above = _topmost_missing(os.path.realpath(path))
        is_file = missing == os.path.realpath(path)
        if not (is_file and (_holds_something(above) or (stamp and stamp.device == _device(above)))):
            counts[above if is_file else missing, above] += 1
    if not counts:
        return {}
    beside = _folders_with_their_disk(living, {above for _, above in counts})
    return {folder: count for (folder, above), count in counts.items() if above not in beside}


def _topmost_missing(path: str) -> tuple[str, str]:
    """The uppermost part of a path that is not there, and the folder that is."""
    above = os.path.dirname(path)  # noqa: PTH120
    while above != path and not os.path.isdir(above):  # noqa: PTH112
        path, above = above, os.path.dirname(above)  # noqa: PTH120
    return path, above


def _folders_with_their_disk(living: Iterable[str], folders: set[str]) -> set[str]:
    """Which of the folders hold one of the files, on the disk that they are on themselves."""
    devices = {folder: _device(folder) for folder in folders}
    found: set[str] = set()
    for path in living:
        real = os.path.realpath(path)
        for folder in folders - found:
            if real.startswith(folder.rstrip(os.sep) + os.sep) and _device(real) == devices[folder]:
                found.add(folder)
        if found == folders:
            break
    return found


def _holds_something(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entries)
    except OSError:
        return False


def _device(path: str) -> int | None:
    try:
        return Path(path).stat().st_dev
    except OSError:
        return None
