"""Every row of a file against its checksum."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.row_file import RowFile
from cocon.client.index.records import UNIT_TOLERANCE
from cocon.client.index.upkeep.row_pieces import OnRows, row_pieces

__all__ = ["are_finite", "are_unit", "sound_rows"]


def sound_rows(
    file: RowFile,
    rows: NDArray[np.int64],
    expected: NDArray[np.uint64],
    *,
    is_right: Callable[[NDArray[Any]], NDArray[np.bool_]],
    on_rows: OnRows,
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
    for begin, piece in row_pieces(file, rows):
        end = begin + len(piece)
        sound[begin:end] = (row_checksums(piece) == expected[begin:end]) & is_right(piece)
        on_rows(len(piece))
    return sound


def are_unit(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which vectors are finite and of unit length: `[n, D]` → `bool [n]`."""
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        return np.abs(lengths - 1.0) <= UNIT_TOLERANCE


def are_finite(blocks: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which clips have finite blocks: `[n, N, D]` → `bool [n]`."""
    return np.isfinite(blocks).all(axis=(1, 2))
