"""Arrays of an npz archive; large ones stay on disk: the flow of an hour does not fit in memory.

A large array is unpacked into a file without a name and mapped there, after every byte of it was checked. Who asks for
the same archives again and again, as training does for a few frames at a time, keeps `LargeArrays`: each array is then
checked once as long as its file stays the same. One that was stored uncompressed is mapped where it lies, and of a
compressed one rows are unpacked as they are asked for.
"""

import math
import mmap
import os
import struct
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from cocon.video.store.packed_array import Decoder, OpenFile, PackedArray, PackedMember, checked_restarts

__all__ = ["LargeArrays", "forget_pages", "is_mapped", "read_array", "write_arrays"]

npy: Any = np.lib.format  # which NumPy 1.26 does not annotate

State: TypeAlias = tuple[int, ...]

_LARGE_BYTES = 64 << 20
_CHUNK_BYTES = 4 << 20
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
        archive: as written by `numpy.savez_compressed`; a file, where large arrays are known.
        name: of the array.
        is_kept: whether a large array is wanted, and not only checked; zeros of its shape take no memory.
        on_progress: called now and then while a large array is unpacked, as a sign of life.
        known: large arrays that were read before.

    Returns:
        The array. One of more than 64 MiB is mapped from a nameless file; where large arrays are known, it is mapped
        from the archive itself, or a `PackedArray` if it is compressed there.

    Raises:
        ValueError: it is no array, or has objects in it.
        zipfile.BadZipFile: it is damaged.
        zlib.error: likewise.
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
            info = archive.getinfo(member)
            if known is not None and info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                large = _Large(archive, info, stream.tell(), shape, dtype)
                return known.array(large, is_kept=is_kept, on_progress=on_progress)
            with tempfile.TemporaryFile(prefix="cocon") if is_kept else nullcontext() as unpacked:
                _unpack(stream, unpacked, num_bytes, on_progress)
                # The mapping outlives the descriptor.
                return (
                    np.memmap(unpacked, dtype, "r", shape=shape) if unpacked else np.broadcast_to(dtype.type(), shape)
                )
    with archive.open(member) as stream:
        return npy.read_array(stream, allow_pickle=False)


def forget_pages(array: NDArray[Any]) -> None:
    """Take what was read of a mapped array out of this process's memory; it stays on disk, and nothing else changes."""
    if isinstance(base := _base(array), mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether it lies on disk, in a file that is mapped."""
    return isinstance(_base(array), mmap.mmap)


def _base(array: NDArray[Any]) -> object:
    """Who owns what an array shows: another array, a mapped file, or None."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base


@dataclass(frozen=True, slots=True)
class _Large:
    """A large array of an archive that is a file, with a header of so many bytes before it."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    header_bytes: int
    shape: tuple[int, ...]
    dtype: Any

    @property
    def file(self) -> IO[bytes]:
        assert self.archive.fp is not None
        return self.archive.fp

    @property
    def state(self) -> State:
        """Which array it is, as long as nobody writes the file."""
        state = os.fstat(self.file.fileno())
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, self.info.header_offset, self.info.CRC

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed."""
        return self.info.compress_type != zipfile.ZIP_STORED

    def member(self) -> PackedMember:
        """Where its compressed bytes lie; the archive may be closed then."""
        file, info = OpenFile(self.file.fileno()), self.info
        place = (self._begin, info.compress_size, info.CRC, self.header_bytes)
        return PackedMember(file, info.filename, *place, self.shape, self.dtype)

    def in_place(self) -> NDArray[Any]:
        """Mapped from the archive."""
        content = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)  # outlives the descriptor
        array = np.frombuffer(content, self.dtype, math.prod(self.shape), self._begin + self.header_bytes)
        return array.reshape(self.shape)

    @property
    def _begin(self) -> int:
        header = os.pread(self.file.fileno(), _MEMBER_HEADER.size, self.info.header_offset)
        _, name_bytes, extra_bytes = _MEMBER_HEADER.unpack(header)
        return self.info.header_offset + len(header) + int(name_bytes) + int(extra_bytes)


class LargeArrays:
    """The large arrays that this process has checked, by the states of their files. Safe for threads."""

    def __init__(self) -> None:
        self._restarts: dict[State, tuple[Decoder, ...]] = {}
        self._lock = threading.Lock()

    def array(self, large: _Large, *, is_kept: bool, on_progress: Callable[[], None] | None) -> NDArray[Any]:
        """The array, or zeros of its shape where it is only to be checked; raises as `read_array`."""
        state = large.state
        restarts = self._restarts.get(state)
        if restarts is None:
            if large.is_packed:
                restarts = checked_restarts(large.member(), on_progress)
            else:
                restarts = ()
                with large.archive.open(large.info) as stream:
                    _unpack(stream, None, large.member().num_bytes, on_progress)
            with self._lock:
                self._restarts[state] = restarts
        if not is_kept:
            return np.broadcast_to(large.dtype.type(), large.shape)
        # Who asks for stored views takes rows of them, and no more is needed.
        return cast(NDArray[Any], PackedArray(large.member(), restarts)) if large.is_packed else large.in_place()


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
