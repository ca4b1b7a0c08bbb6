"""An array in a file of its own that grows row by row, for others to map: `numpy.load(path, mmap_mode="r")`."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.closing import Closing
from cocon.core.storage import storing
from cocon.video.store.archive import npy

__all__ = ["NpyFile", "mapped"]


class NpyFile(Closing):
    """A `.npy` file on its way; it can be read once it is closed. A context manager.

    Args:
        path: the file; what is there is replaced.

    Raises:
        StorageError: the disk takes no more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storing(path):
            self._file = path.open("wb")
        self._num_rows = 0
        self._row: NDArray[Any] | None = None

    def add(self, row: NDArray[Any]) -> None:
        """Append one row; all have the shape and type of the first.

        Raises:
            ValueError: it has not.
            StorageError: the disk takes no more.
        """
        if self._row is None:
            self._row = np.empty(row.shape, row.dtype)
            self._write_header()
        if (row.shape, row.dtype) != (self._row.shape, self._row.dtype):
            raise ValueError(f"a row {row.dtype} {list(row.shape)} among {self._row.dtype} {list(self._row.shape)}")
        with storing(self._path):
            self._file.write(np.ascontiguousarray(row).data)
        self._num_rows += 1

    def close(self) -> None:
        """Say how many rows there are; nothing is added any more."""
        with storing(self._path):
            try:
                if self._row is not None and not self._file.closed:
                    self._file.seek(0)
                    self._write_header()
            finally:
                self._file.close()

    def _write_header(self) -> None:
        """As long for any number of rows: NumPy leaves room for it to grow."""
        assert self._row is not None
        described = npy.dtype_to_descr(self._row.dtype)
        shape = (self._num_rows, *self._row.shape)
        npy.write_array_header_1_0(self._file, {"descr": described, "fortran_order": False, "shape": shape})


def mapped(path: Path) -> NDArray[Any]:
    """The array of a closed file, read from the disk where it is used."""
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
