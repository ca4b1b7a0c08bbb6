"""Files that appear whole or not at all, and what is written through because it is no file."""

import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from cocon.core.errors import StorageError
from cocon.core.storage import refused, storing

__all__ = ["append", "beside", "is_stream", "place_of", "replacing", "sync_folder", "written_through"]

_MAX_NAME_BYTES = 255  # of file systems
_MAX_LINKS = 40  # as Linux follows


@contextmanager
def replacing(path: Path, *, is_durable: bool = False) -> Iterator[Path]:
    """Write a file beside its place and move it there.

    A link stays, and what it leads to is replaced. What is no file, such as `/dev/stdout` or a FIFO, gets the bytes
    when they are complete.

    Args:
        path: The file to replace or make; its folder is made when missing.
        is_durable: Hold also through a power cut, at the price of waiting for the disk.

    Yields:
        Where to write. It is removed if the block fails.

    Raises:
        StorageError: The disk takes no more.
    """
    with storing(path):
        if is_stream(path):
            with TemporaryDirectory(prefix="cocon-") as aside:
                yield (whole := Path(aside) / "whole")
                with whole.open("rb") as source, written_through(path) as stream:
                    shutil.copyfileobj(source, stream)
            return
        place = place_of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = beside(place, f".{os.getpid()}.partial", prefix=".")
        partial.unlink(missing_ok=True)  # or else it might be a link
        try:
            yield partial
            if is_durable:
                _sync(partial, os.O_RDWR)
            partial.replace(place)
            if is_durable:
                sync_folder(place.parent)
        except OSError as error:
            if error.filename == str(partial):
                error.filename = str(path)
            raise
        finally:
            partial.unlink(missing_ok=True)


def beside(place: Path, ending: str, *, prefix: str = "") -> Path:
    """A path in the folder of another, called like it with an ending, and shorter where the name would be too long."""
    room = _MAX_NAME_BYTES - len(os.fsencode(prefix + ending))
    return place.with_name(prefix + os.fsdecode(os.fsencode(place.name)[:room]) + ending)


def is_stream(path: Path) -> bool:
    """Whether a path stands for what takes bytes and keeps no file: a device, a FIFO, an open descriptor."""
    try:
        return _descriptor(path) is not None or not (stat.S_ISREG(mode := path.stat().st_mode) or stat.S_ISDIR(mode))
    except OSError:  # nothing is there
        return False


@contextmanager
def written_through(path: Path) -> Iterator[BinaryIO]:
    """Open such a path for writing; a FIFO waits for its reader.

    Raises:
        StorageError: The reader has gone.
        UsageError: It is open for reading alone.
    """
    try:
        with _opened(path) as stream:
            yield stream
    except BrokenPipeError as error:
        raise StorageError(f"'{path}' cannot be written: who reads it has gone") from error
    except OSError as error:
        if error.errno == errno.EBADF:
            raise refused(error, f"'{path}'") from error
        raise


def _opened(path: Path) -> BinaryIO:
    descriptor = _descriptor(path)
    if descriptor is None:
        return path.open("wb")
    for printed in (sys.stdout, sys.stderr):  # what was said before comes before
        printed.flush()
    return os.fdopen(os.dup(descriptor), "wb")  # opened by name, a file that it leads to would begin anew


def place_of(path: Path) -> Path:
    """Where a file really is or will be: the end of all links."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def append(stream: FileIO, line: bytes) -> None:
    """Write to the end of a file, all or nothing.

    Args:
        stream: Opened for appending, without a buffer.
        line: What to add.

    Raises:
        OSError: Nothing of it could be kept.
    """
    before = os.fstat(stream.fileno()).st_size
    try:
        while line:
            line = line[stream.write(line) :]  # the last free bytes take a part
    except OSError:
        os.ftruncate(stream.fileno(), before)
        raise


def _descriptor(path: Path) -> int | None:
    """Number of the open descriptor that a name like `/dev/stdout` or `/dev/fd/3` stands for."""
    for _ in range(_MAX_LINKS):
        if path.name.isdigit() and os.path.realpath(path.parent) in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def sync_folder(folder: Path) -> None:
    """Make files that were made, renamed or removed in a folder so for good, through a power cut."""
    if os.name != "nt":  # Windows opens no folders
        _sync(folder, os.O_RDONLY)


def _sync(path: Path, mode: int) -> None:
    """Have the disk take what was written."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
