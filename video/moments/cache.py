"""Files that can be made again, kept within a number of bytes.

cache = PreviewCache(folder, max_bytes=256 << 20)
path = cache.file(preview_key(content_sha256, 12.0, 14.0, 320), ".mp4", lambda path: write_moment(..., path, ...))
"""

import os
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock

__all__ = ["PreviewCache", "preview_key"]

_NAME = re.compile(r"\.{0,2}[0-9a-f]{64}\.[\w.]+")


def preview_key(content: str, *facts: object) -> str:
    """The name of what is made of a content: 64 letters that are safe in a file's name.

    Args:
        content: What it is made of, such as its sha256, so that a file that was replaced gives another name.
        facts: What else it depends on: from when, to when, how large.
    """
    return sha256("\0".join([content, *map(repr, facts)]).encode(errors="surrogateescape")).hexdigest()


class PreviewCache:
    """A folder of files, of which those go first that were not asked for the longest. Safe for several threads.

    One process uses a folder at a time; what one before has made there is taken over, all else is let alone.

    Args:
        folder: Made when missing, for this user alone.
        max_bytes: Of all files together. A single one that is larger stays until the next is made.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes ({max_bytes}) must be at least 1")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = Lock()
        self._held: Counter[str] = Counter()
        self._making: dict[str, tuple[Lock, int]] = {}
        self._sizes = OrderedDict(_found(folder))  # the one not asked for the longest is the first
        with self._lock:
            self._shrink()

    @property
    def num_bytes(self) -> int:
        """Of all files."""
        with self._lock:
            return sum(self._sizes.values())

    def file(self, key: str, suffix: str, make: Callable[[Path], None], *, is_held: bool = False) -> Path:
        """A file, made unless it is there; it stays until others are made for which there is no room beside it.

        Args:
            key: Of `preview_key`.
            suffix: Of its name, such as `.mp4`.
            make: Writes it to a path, or raises. Of several who ask at once, one makes it and the others wait.
            is_held: Keep it until it is let go as often as it was held, whatever room is needed.

        Raises:
            Exception: What `make` raised. Nothing is kept then.
        """
        name = f"{key}{suffix}"
        path = self._folder / name
        with self._turn(name):
            if is_held:
                self._held[name] += 1
            if not self._is_there(name, path):
                partial = self._folder / f".{name}.partial"
                try:
                    make(partial)
                    partial.replace(path)
                except BaseException:
                    if is_held:
                        self._held[name] -= 1
                    raise
                finally:
                    partial.unlink(missing_ok=True)
                with self._lock:
                    self._sizes[name] = path.stat().st_size
                    self._shrink()
        return path

    def let_go(self, path: Path) -> None:
        """A file that was held may go when room is needed."""
        with self._lock:
            self._held[path.name] -= 1
            self._shrink()

    def _is_there(self, name: str, path: Path) -> bool:
        with self._lock:
            if name not in self._sizes:
                return False
            if not path.is_file():
                del self._sizes[name]
                return False
            self._sizes.move_to_end(name)
        os.utime(path, ns=(now_ns := time.time_ns(), now_ns))  # so that the order outlives this process
        return True

    def _shrink(self) -> None:
        for name in [name for name in [*self._sizes][:-1] if self._held[name] <= 0]:
            if sum(self._sizes.values()) <= self._max_bytes:
                return
            del self._sizes[name]
            (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        """Hold the lock of a name, which is there as long as somebody needs it."""
        with self._lock:
            lock, count = self._making.get(name, (Lock(), 0))
            self._making[name] = (lock, count + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                _, count = self._making.pop(name)
                if count > 1:
                    self._making[name] = (lock, count - 1)


def _found(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes of the files of before; what was left half made goes."""
    found = []
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) is None or path.is_symlink() or not path.is_file():
            continue
        if path.suffix == ".partial":
            path.unlink(missing_ok=True)
        else:
            found.append((path.stat().st_mtime_ns, path.name, path.stat().st_size))
    return [(name, size) for _, name, size in sorted(found)]
