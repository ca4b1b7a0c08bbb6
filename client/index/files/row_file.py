"""A file of rows of one size: only ever appended to, and read through the system's cache.

Which of its rows count is not said here but in the catalogue, which is committed after the rows are on the disk. What
lies behind them was left by a writer that was killed, and is written over.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cocon.core.storage import storing

__all__ = ["RowFile"]


@dataclass(frozen=True)
class RowFile:
    """The file.

    Attributes:
        path: Where it is.
        dtype: Little endian.
        row_shape: Of one row, such as `(256,)`.
    """

    path: Path
    dtype: DTypeLike
    row_shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.row_shape))

    def write(self, first_row: int, rows: NDArray[Any]) -> None:
        """Write rows from a place on; they are on the disk when this returns.

        Args:
            first_row: Where the first of them goes.
            rows: `[K, *row_shape]`.

        Raises:
            StorageError: The disk takes no more.
        """
        content = np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data
        with storing(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                place = first_row * self.row_bytes
                while content:
                    written = os.pwrite(descriptor, content, place)
                    content, place = content[written:], place + written
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def mapped(self, num_rows: int) -> NDArray[Any]:
        """The first rows, `[num_rows, *row_shape]`, or as many as the file holds; read as they are used.

        Raises:
            FileNotFoundError: It is gone.
        """
        held = min(num_rows, self.path.stat().st_size // self.row_bytes)
        if not held:
            return np.empty((0, *self.row_shape), self.dtype)
        return np.memmap(self.path, self.dtype, "r", shape=(held, *self.row_shape)).view(np.ndarray)
