"""Vectors in files of NumPy: one array in `.npy`, columns in `.npz`. No pickle of them is ever loaded."""

import math
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.query.columns import TEXTS, TIMES, TextColumn, VectorColumns, as_times, check_column_bytes
from cocon.video.store.archive import npy, read_array

__all__ = ["read_npy", "read_npz"]

# Of the file as a whole, beside the column `fingerprint`.
_FINGERPRINT = "model_fingerprint"


def read_npy(stream: IO[bytes]) -> VectorColumns:
    """Read an array; raises `ValueError`, or what NumPy raises, if the file is none or damaged."""
    size = stream.seek(0, 2)
    stream.seek(0)
    _check_header(stream, size)
    stream.seek(0)
    return VectorColumns(npy.read_array(stream, allow_pickle=False))


def read_npz(stream: IO[bytes]) -> VectorColumns:
    """Read the arrays of `client embed`, or `embedding` alone; raises also what `zipfile` raises."""
    with zipfile.ZipFile(stream) as archive:
        present = set(archive.namelist())
        names = [name for name in ("embedding", *TEXTS, *TIMES, _FINGERPRINT) if f"{name}.npy" in present]
        for name in names:
            with archive.open(f"{name}.npy") as member:
                _check_header(member, archive.getinfo(f"{name}.npy").file_size)
        arrays = {name: read_array(archive, name) for name in names}
    embedding, whole = arrays.get("embedding"), arrays.get(_FINGERPRINT)
    if embedding is None:
        raise ValueError("it has no array 'embedding'")
    return VectorColumns(
        embedding,
        {name: _as_texts(name, array) for name, array in arrays.items() if name in TEXTS and array is not None},
        {name: as_times(name, array) for name, array in arrays.items() if name in TIMES and array is not None},
        None if whole is None else str(whole),
    )


def _check_header(stream: IO[bytes], num_bytes: int) -> None:
    """Refuse an array that is not as long as it says, or has objects, by its first bytes."""
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"its npy version {version} is none of {list(readers)}")
    shape, _, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds objects (a pickle), which are never loaded")
    wanted, found = math.prod(shape) * dtype.itemsize, num_bytes - stream.tell()
    check_column_bytes(wanted)
    if min(shape, default=0) < 0 or wanted != found:
        raise ValueError(f"it has {found} bytes in place of the {wanted} of its array")


def _as_texts(name: str, values: NDArray[Any]) -> TextColumn:
    if values.dtype.kind != "U" or values.ndim != 1:
        raise ValueError(f"its '{name}' is {values.dtype} {list(values.shape)}, must be text [R]")
    different, codes = np.unique(values, return_inverse=True)
    return TextColumn(different.tolist(), codes.astype(np.int64))
