"""Rows of a file, read in pieces and not through a mapping: what a process holds stays small."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_file import RowFile
from cocon.core.atomic import sync_folder
from cocon.core.errors import MismatchError
from cocon.core.storage import storing

__all__ = ["OnRows", "copy_rows", "row_pieces"]

_PIECE_BYTES = 32 << 20

# Called with how many more rows are done.
OnRows = Callable[[int], None]


def row_pieces(file: RowFile, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Some rows of a file.

    Args:
        file: With them.
        rows: Rising, `int64 [n]`.

    Yields:
        Where a piece begins in `rows`, and the rows themselves; fewer where the file ends before them.

    Raises:
        OSError: The file cannot be read.
    """
    step, begin = max(1, _PIECE_BYTES // file.row_bytes), 0
    with file.path.open("rb") as stream:
        while begin < len(rows):
            first = int(rows[begin])
            end = int(np.searchsorted(rows, first + step))
            found = _read(stream, file, first, int(rows[end - 1]) + 1 - first)
            wanted = rows[begin:end] - first
            yield begin, found[wanted[wanted < len(found)]]
            begin = end


def copy_rows(source: RowFile, rows: NDArray[np.int64], target: RowFile, on_rows: OnRows) -> None:
    """Write rows of a file into a new one, from its beginning; they are on the disk, under its name, when this returns.

    Raises:
        MismatchError: The file lacks some of them.
        StorageError: The disk takes no more.
    """
    with storing(target.path):
        target.path.touch()
    done = 0
    for begin, piece in row_pieces(source, rows):
        if begin != done:
            break
        target.write(begin, piece)
        done += len(piece)
        on_rows(len(piece))
    sync_folder(target.path.parent)
    if done < len(rows):
        raise MismatchError(f"'{source.path.name}' is cut short; 'client index rebuild' keeps what is sound")


def _read(stream: BinaryIO, file: RowFile, first: int, count: int) -> NDArray[Any]:
    stream.seek(first * file.row_bytes)
    content = stream.read(count * file.row_bytes)
    whole = len(content) // file.row_bytes
    return np.frombuffer(content[: whole * file.row_bytes], file.dtype).reshape(whole, *file.row_shape)
