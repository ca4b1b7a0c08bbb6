"""Every row of a file against its checksum, read in pieces."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.row_file import RowFile

__all__ = ["are_unit", "sound_rows"]

_PIECE_BYTES = 32 << 20
_UNIT_TOLERANCE = 1e-3


def sound_rows(
    file: RowFile,
    rows: NDArray[np.int64],
    expected: NDArray[np.uint64],
    *,
    is_right: Callable[[NDArray[Any]], NDArray[np.bool_]],
    on_rows: Callable[[int], None] = lambda count: None,
) -> NDArray[np.bool_]:
    """Which rows are what was stored.

    Args:
        file: With them; those that it lacks are not sound.
        rows: Rising, `int64 [n]`.
        expected: Their checksums, `uint64 [n]`.
        is_right: What else must hold of rows, `[m, ...]` → `bool [m]`.
        on_rows: Called with how many more rows have been looked at.

    Returns:
        `bool [n]`.

    Raises:
        OSError: The file cannot be read.
    """
    sound = np.zeros(len(rows), np.bool_)
    step = max(1, _PIECE_BYTES // file.row_bytes)
    with file.path.open("rb", buffering=0) as stream:
        begin = 0
        while begin < len(rows):
            first = int(rows[begin])
            end = int(np.searchsorted(rows, first + step))
            found = _read(stream, file, first, int(rows[end - 1]) + 1)
            held = rows[begin:end] - first
            held = held[held < len(found)]
            piece = np.ascontiguousarray(found[held])
            agree = row_checksums(piece) == expected[begin : begin + len(held)]
            sound[begin : begin + len(held)] = agree & is_right(piece)
            on_rows(end - begin)
            begin = end
    return sound


def are_unit(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which vectors are finite and of unit length: `[n, D]` → `bool [n]`."""
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        return np.abs(lengths - 1.0) <= _UNIT_TOLERANCE


def _read(stream: Any, file: RowFile, begin: int, end: int) -> NDArray[Any]:  # noqa: ANN401  # raw
    stream.seek(begin * file.row_bytes)
    dtype: DTypeLike = file.dtype
    count = (end - begin) * file.row_bytes // np.dtype(dtype).itemsize
    values = np.fromfile(stream, dtype, count)
    whole = len(values) * np.dtype(dtype).itemsize // file.row_bytes
    return values[: whole * (file.row_bytes // np.dtype(dtype).itemsize)].reshape(whole, *file.row_shape)
