"""Arrays that grow frame by frame, on disk: a view of a long video does not fit in memory."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.closing import Closing

__all__ = ["Spool"]


class Spool(Closing):
    """One array on its way to the store, in a file without a name. A context manager.

    Args:
        folder: on the disk that takes the file.
    """

    def __init__(self, folder: Path) -> None:
        # The system deletes it with the process. Where it cannot be made nameless, it is called as others half-written.
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".partial")  # noqa: SIM115  # until close
        self._num_rows = 0
        self._row: NDArray[Any] | None = None

    def add(self, rows: NDArray[Any]) -> None:
        """Append rows `[n, ...]`; all have the shape and type of the first.

        Raises:
            ValueError: they have not.
            OSError: the disk is full.
        """
        if self._row is None:
            self._row = np.empty(rows.shape[1:], rows.dtype)
        if (rows.shape[1:], rows.dtype) != (self._row.shape, self._row.dtype):
            raise ValueError(
                f"rows {rows.dtype} {list(rows.shape[1:])} among {self._row.dtype} {list(self._row.shape)}"
            )
        self._file.write(np.ascontiguousarray(rows).data)
        self._num_rows += len(rows)

    def whole(self) -> NDArray[Any]:
        """All rows `[F, ...]`; they are read from the disk where they are used.

        Raises:
            ValueError: there are none.
        """
        if self._row is None or 0 in self._row.shape:
            raise ValueError("no rows were added")
        self._file.flush()
        return np.memmap(self._file, self._row.dtype, "r", shape=(self._num_rows, *self._row.shape))

    def close(self) -> None:
        """Give the disk space back."""
        with suppress(OSError):  # a full disk takes no last bytes either, and nobody wants them
            self._file.close()
