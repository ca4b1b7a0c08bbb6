"""Array files of a user: frames in a `.npy` file, or in the only array of a `.npz`, read one by one."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.core.printable import in_one_line

__all__ = ["ArrayFile"]


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """An array whose rows are frames; nothing is unpickled.

    Attributes:
        path: the file.
        named: what a message calls it, such as `flow`, and what it calls a row, such as `field`.
        shape: of the array; the first is the number of rows.
        dtype: of its values.
        stream: where the next row begins.
    """

    path: Path
    named: tuple[str, str]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stream: IO[bytes]

    @classmethod
    def open(cls, path: Path, named: tuple[str, str], files: ExitStack) -> "ArrayFile":
        """Read what the array is.

        Args:
            path: the file.
            named: see the class.
            files: closes it.

        Raises:
            MissingViewError: it cannot be read, holds several arrays, or one in Fortran order.
        """
        try:
            stream: IO[bytes] = files.enter_context(path.open("rb"))
            if path.suffix.lower() == ".npz":
                stream = files.enter_context(_only_member(files.enter_context(zipfile.ZipFile(stream))))
            return cls(path, named, *_header(stream), stream)
        # What zipfile and NumPy raise on damaged bytes is written nowhere.
        except Exception as error:
            raise MissingViewError(f"{named[0]} '{path}' cannot be read ({in_one_line(error)})") from error

    def rows(self) -> Iterator[NDArray[Any]]:
        """The rows, each in the shape and type that it has in the file.

        Raises:
            MissingViewError: the file ends too early, or is damaged.
        """
        return (self._row(index) for index in range(self.shape[0]))

    def _row(self, index: int) -> NDArray[Any]:
        num_bytes, (name, row) = math.prod(self.shape[1:]) * self.dtype.itemsize, self.named
        try:
            content = self.stream.read(num_bytes)
        except Exception as error:  # as above
            problem = f"{name} '{self.path}' cannot be read at {row} {index} ({in_one_line(error)})"
            raise MissingViewError(problem) from error
        if len(content) < num_bytes:
            raise MissingViewError(f"{name} '{self.path}' ends within {row} {index}")
        return np.frombuffer(content, self.dtype).reshape(self.shape[1:])


def _only_member(archive: zipfile.ZipFile) -> IO[bytes]:
    names = archive.namelist()
    if len(names) != 1:
        raise ValueError(f"it must hold one array, not {len(names)}")
    return archive.open(names[0])


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stream)  # type: ignore[no-untyped-call]  # NumPy has no types for its format module
    shape, is_fortran_order, dtype = read[version](stream)  # type: ignore[no-untyped-call]  # likewise
    if is_fortran_order:
        raise ValueError("it is in Fortran order; save numpy.ascontiguousarray of it")
    return shape, dtype
