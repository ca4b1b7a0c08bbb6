"""Arrays of an npz archive; large ones stay on disk: the flow of an hour does not fit in memory."""

import math
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_array", "write_arrays"]

npy: Any = np.lib.format  # which NumPy 1.26 does not annotate

_LARGE_BYTES = 64 << 20
_CHUNK_BYTES = 4 << 20


def write_arrays(stream: IO[bytes], arrays: Mapping[str, NDArray[Any]], *, is_compressed: bool = False) -> None:
    """Write what `numpy.savez` writes, byte for byte; on a full disk that one leaves an archive to the collector.

    Args:
        stream: file to write.
        arrays: by name; no objects.
        is_compressed: as by `numpy.savez_compressed`.
    """
    how = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


def read_array(
    archive: zipfile.ZipFile,
    name: str,
    *,
    is_kept: bool = True,
    on_progress: Callable[[], None] | None = None,
) -> NDArray[Any] | None:
    """One array, every byte of it checked; None if the archive has none of that name.

    Args:
        archive: as written by `numpy.savez_compressed`.
        name: of the array.
        is_kept: whether a large array is wanted, and not only checked; zeros of its shape take no memory.
        on_progress: called now and then while a large array is unpacked, as a sign of life.

    Returns:
        The array; one of more than 64 MiB is unpacked into a nameless file and read from there where it is used.

    Raises:
        ValueError: it is no array, or has objects in it.
        zipfile.BadZipFile: it is damaged.
    """
    member = f"{name}.npy"
    if member not in archive.namelist():
        return None
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"npy version {version} is not (1, 0)")
        shape, is_fortran, dtype = npy.read_array_header_1_0(stream)
        num_bytes = math.prod(shape) * dtype.itemsize
        if num_bytes > _LARGE_BYTES and not is_fortran and not dtype.hasobject:
            with tempfile.TemporaryFile(prefix="cocon") if is_kept else nullcontext() as unpacked:
                _unpack(stream, unpacked, num_bytes, on_progress)
                # The mapping outlives the descriptor.
                return (
                    np.memmap(unpacked, dtype, "r", shape=shape) if unpacked else np.broadcast_to(dtype.type(), shape)
                )
    with archive.open(member) as stream:
        return npy.read_array(stream, allow_pickle=False)


def _unpack(
    stream: IO[bytes], unpacked: IO[bytes] | None, num_bytes: int, on_progress: Callable[[], None] | None
) -> None:
    num_read = 0
    while chunk := stream.read(_CHUNK_BYTES):
        num_read += len(chunk)
        if unpacked:
            unpacked.write(chunk)
        if on_progress:
            on_progress()
    if unpacked:
        unpacked.flush()
    if num_read != num_bytes:
        raise ValueError(f"{num_read} bytes are not the {num_bytes} of the array")
