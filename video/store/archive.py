"""Arrays of an npz archive; large ones stay on disk: the flow of an hour does not fit in memory.

A large array that was stored uncompressed is mapped where it lies; a compressed one is unpacked into a file without a
name and mapped there. Every byte of it is checked before. Who asks for the same archives again and again, as training
does for a few frames at a time, keeps `LargeArrays`: each is then checked and unpacked once as long as its file stays
the same.
"""

import io
import math
import mmap
import os
import struct
import tempfile
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["LargeArrays", "forget_pages", "read_array", "write_arrays"]

npy: Any = np.lib.format  # which NumPy 1.26 does not annotate

Key: TypeAlias = tuple[int, ...]

_LARGE_BYTES = 64 << 20
_CHUNK_BYTES = 4 << 20
# Unpacked, of the arrays that are kept for the next who asks; there is room for one in any case.
_KEPT_BYTES = 8 << 30
# Of a member's own header: signature, and what follows up to the lengths of its name and its extra field
# (PKWARE's APPNOTE, 4.3.7).
_MEMBER_HEADER = struct.Struct("<4s22xHH")


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
    known: "LargeArrays | None" = None,
) -> NDArray[Any] | None:
    """One array, every byte of it checked; None if the archive has none of that name.

    Args:
        archive: as written by `numpy.savez_compressed`.
        name: of the array.
        is_kept: whether a large array is wanted, and not only checked; zeros of its shape take no memory.
        on_progress: called now and then while a large array is unpacked, as a sign of life.
        known: large arrays that were read before.

    Returns:
        The array; one of more than 64 MiB is mapped, from the archive itself or from a nameless file.

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
            large = _Large(archive, archive.getinfo(member), stream, stream.tell(), shape, dtype, num_bytes)
            return (known or LargeArrays()).array(large, is_kept=is_kept, on_progress=on_progress)
    with archive.open(member) as stream:
        return npy.read_array(stream, allow_pickle=False)


def forget_pages(array: NDArray[Any]) -> None:
    """Take what was read of a mapped array out of this process's memory; it stays on disk, and nothing else changes."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class _Large:
    """A large array of an archive, whose stream stands behind its header of so many bytes."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    stream: IO[bytes]
    header_bytes: int
    shape: tuple[int, ...]
    dtype: Any
    num_bytes: int

    @property
    def key(self) -> Key | None:
        """Which one it is, as long as nobody writes the file; None where the archive is no file."""
        try:
            assert self.archive.fp is not None
            state = os.fstat(self.archive.fp.fileno())
        except io.UnsupportedOperation:
            return None
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, self.info.header_offset, self.info.CRC

    @property
    def is_stored(self) -> bool:
        """Whether its bytes lie in the archive as they are."""
        return self.info.compress_type == zipfile.ZIP_STORED

    def in_place(self) -> NDArray[Any]:
        """Mapped from the archive, which is a file."""
        assert self.archive.fp is not None
        file = self.archive.fp.fileno()
        header = os.pread(file, _MEMBER_HEADER.size, self.info.header_offset)
        _, name_bytes, extra_bytes = _MEMBER_HEADER.unpack(header)
        begin = self.info.header_offset + len(header) + name_bytes + extra_bytes + self.header_bytes
        content = mmap.mmap(file, 0, access=mmap.ACCESS_READ)  # outlives the descriptor
        return np.frombuffer(content, self.dtype, math.prod(self.shape), begin).reshape(self.shape)

    def unpack(self, unpacked: IO[bytes] | None, on_progress: Callable[[], None] | None) -> None:
        """Read and check every byte, and write them where that is wanted."""
        num_read = 0
        while chunk := self.stream.read(_CHUNK_BYTES):
            num_read += len(chunk)
            if unpacked:
                unpacked.write(chunk)
            if on_progress:
                on_progress()
        if unpacked:
            unpacked.flush()
        if num_read != self.num_bytes:
            raise ValueError(f"{num_read} bytes are not the {self.num_bytes} of the array")


class LargeArrays:
    """The large arrays that a process has checked, and up to 8 GiB of those that it has unpacked. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_unpacking = threading.Lock()
        self._sound: set[Key] = set()
        self._unpacked: OrderedDict[Key, NDArray[Any]] = OrderedDict()

    def array(self, large: _Large, *, is_kept: bool, on_progress: Callable[[], None] | None) -> NDArray[Any]:
        """The array itself, or zeros of its shape where it is only to be checked; raises as `read_array`."""
        key = large.key
        if is_kept and not (large.is_stored and key):
            with self._is_unpacking:
                return self._unpacked_one(large, key, on_progress)
        if key is None or key not in self._sound:
            large.unpack(None, on_progress)
            self._remember(key)
        return large.in_place() if is_kept else np.broadcast_to(large.dtype.type(), large.shape)

    def _unpacked_one(self, large: _Large, key: Key | None, on_progress: Callable[[], None] | None) -> NDArray[Any]:
        with self._lock:
            if key in self._unpacked:
                self._unpacked.move_to_end(key)
                return self._unpacked[key]
        with tempfile.TemporaryFile(prefix="cocon") as unpacked:
            large.unpack(unpacked, on_progress)
            array: NDArray[Any] = np.memmap(unpacked, large.dtype, "r", shape=large.shape)  # outlives the descriptor
        self._remember(key, array)
        return array

    def _remember(self, key: Key | None, array: NDArray[Any] | None = None) -> None:
        if key is None:
            return
        with self._lock:
            self._sound.add(key)
            if array is not None:
                self._unpacked[key] = array
            while len(self._unpacked) > 1 and sum(kept.nbytes for kept in self._unpacked.values()) > _KEPT_BYTES:
                self._unpacked.popitem(last=False)
