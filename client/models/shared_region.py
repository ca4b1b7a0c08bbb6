"""A piece of memory that a server on this machine can see too, as a file of `/dev/shm`.

    with suppress(OSError):
        region = SharedRegion.create(1 << 20)
        region.array[:4] = b"clip"
        region.remove()

Its name cannot be guessed, only its owner may open it (mode 0600), and all of its memory is there from the beginning: a
full `/dev/shm` is an error here and not a signal later. Its process holds a lock on the file while it lives, so what a
killed process has left is told from what is in use; `remove_leftovers` removes it.
"""

import fcntl
import mmap
import os
import secrets
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["SharedRegion", "is_leftover", "remove_leftovers"]

_FOLDER = Path("/dev/shm")  # where POSIX shared memory is on Linux, the one system that Triton runs on
# Not that of the regions which `cocon serve` has Triton share with its own processes.
_PREFIX = "cocon-client-"


class SharedRegion:
    """A region of this process, which goes with it at the latest. Make it with `create`.

    Attributes:
        name: Of the file, and of the region at a server.
        array: Its memory, `uint8 [num_bytes]`.
    """

    def __init__(self, name: str, descriptor: int, memory: mmap.mmap) -> None:
        self.name = name
        self.array: NDArray[np.uint8] = np.frombuffer(memory, np.uint8)
        self._remove = weakref.finalize(self, _unlink, _FOLDER / name, descriptor, os.getpid())

    @classmethod
    def create(cls, num_bytes: int) -> Self:
        """Make one; raises `OSError` where there is no room or no `/dev/shm`."""
        name = f"{_PREFIX}{secrets.token_hex(16)}"
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(_FOLDER / name, flags, 0o600)
        try:
            # Before anything is in it: whoever looks for leftovers meanwhile holds the lock and takes it away.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(descriptor, 0, num_bytes)
            memory = mmap.mmap(descriptor, num_bytes)
            if not os.fstat(descriptor).st_nlink:
                raise OSError("it was taken for a leftover")
        except BaseException:
            _unlink(_FOLDER / name, descriptor, os.getpid())
            raise
        return cls(name, descriptor, memory)

    @property
    def key(self) -> str:
        """What POSIX calls the region."""
        return f"/{self.name}"

    def remove(self) -> None:
        """Take its name away; its memory goes when the last who has it lets go."""
        self._remove()


def remove_leftovers() -> None:
    """Remove the regions of this user whose processes are gone."""
    with suppress(OSError):
        for entry in _FOLDER.iterdir():
            if entry.name.startswith(_PREFIX):
                _remove_if_left(entry)


def is_leftover(key: str) -> bool:
    """Whether a region that a server knows by this key was one of these, and is no more."""
    name = key.removeprefix("/")
    return name.startswith(_PREFIX) and "/" not in name and not (_FOLDER / name).exists()


def _remove_if_left(path: Path) -> None:
    """Remove a file that nobody holds the lock of; what is none of ours is left alone."""
    with suppress(OSError):
        # Anybody may write to this folder: neither a link is followed nor a pipe waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        finally:
            os.close(descriptor)


def _unlink(path: Path, descriptor: int, owner: int) -> None:
    """Remove a file of this process, not of one that it was forked from, and let go of it."""
    with suppress(OSError):
        if os.getpid() == owner:
            path.unlink()
    os.close(descriptor)
