"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path, *, is_durable: bool = False) -> Iterator[Path]:
    """Write a file beside its place and move it there.

    Args:
        path: The file to replace or make; its folder is made when missing.
        is_durable: Hold also through a power cut, at the price of waiting for the disk.

    Yields:
        Where to write. It is removed if the block fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if is_durable:
            _sync(partial, os.O_RDWR)
        partial.replace(path)
        if is_durable and os.name != "nt":  # Windows opens no folders
            _sync(path.parent, os.O_RDONLY)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path, mode: int) -> None:
    """Make a file's bytes, or the renames in a folder, durable."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
