"""An array that stays compressed in its zip archive, and of which rows are unpacked as they are asked for.

Deflate is read from its beginning on, or from a state of the decoder that was kept. One is kept for every 64 MiB, in
the pass that checks all bytes, so a row costs a tenth of a second wherever it lies, and the rows after it what their
own bytes do. An hour of flow at 128 px takes 5 MB of such states, and nothing of it is unpacked on disk.
"""

import os
import threading
import weakref
import zipfile
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decoder", "OpenFile", "PackedArray", "PackedMember", "checked_restarts"]

_RESTART_BYTES = 64 << 20
_READ_BYTES = 1 << 18
_BLOCK_BYTES = 4 << 20
_KEPT_BLOCKS = 2


class OpenFile:
    """A file that is read at places, open until nobody has it any more.

    Args:
        descriptor: of the file; whoever opened it may close it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = os.dup(descriptor)
        weakref.finalize(self, os.close, self.descriptor)


@dataclass(frozen=True, slots=True)
class PackedMember:
    """A deflated array of an archive, and where it lies.

    Attributes:
        file: the archive.
        name: of the member.
        begin: first compressed byte.
        num_packed: compressed bytes.
        crc: CRC-32 of the unpacked bytes.
        num_header_bytes: unpacked bytes before the array.
        shape: of the array.
        dtype: likewise.
    """

    file: OpenFile
    name: str
    begin: int
    num_packed: int
    crc: int
    num_header_bytes: int
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"

    @property
    def row_bytes(self) -> int:
        """Unpacked bytes of a row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    @property
    def num_bytes(self) -> int:
        """Unpacked bytes, those before the array too."""
        return self.num_header_bytes + self.shape[0] * self.row_bytes


@dataclass(slots=True)
class Decoder:
    """A decoder that stands somewhere in a member: so many bytes read, so many given."""

    state: Any = field(default_factory=lambda: zlib.decompressobj(-zlib.MAX_WBITS))
    num_read: int = 0
    num_given: int = 0

    def copy(self) -> "Decoder":
        """Another one that stands there."""
        return replace(self, state=self.state.copy())

    def take(self, member: PackedMember, most: int) -> bytes:
        """The next bytes, at least one and at most so many; none behind the last."""
        while not self.state.eof:
            wanted = min(_READ_BYTES, member.num_packed - self.num_read)
            packed = os.pread(member.file.descriptor, wanted, member.begin + self.num_read)
            unpacked: bytes = self.state.decompress(packed, most)
            self.num_read += len(packed) - len(self.state.unconsumed_tail)
            self.num_given += len(unpacked)
            if unpacked or not packed:
                return unpacked
        return b""


def checked_restarts(member: PackedMember, on_progress: Callable[[], None] | None) -> tuple[Decoder, ...]:
    """Unpack a member once, for nothing but to check it; gives decoders that stand in it, in order.

    Raises:
        ValueError: it has another number of bytes than the array.
        zipfile.BadZipFile: it is damaged.
        zlib.error: likewise.
    """
    decoder, crc = Decoder(), 0
    restarts = [decoder.copy()]
    while (chunk := decoder.take(member, _BLOCK_BYTES)) and decoder.num_given <= member.num_bytes:
        crc = zlib.crc32(chunk, crc)
        if decoder.num_given - restarts[-1].num_given >= _RESTART_BYTES:
            restarts.append(decoder.copy())
        if on_progress:
            on_progress()
    if decoder.num_given != member.num_bytes:
        raise ValueError(f"{decoder.num_given} bytes are not the {member.num_bytes} of the array")
    if crc != member.crc:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file '{member.name}'")
    return tuple(restarts)


class PackedArray:
    """Looks like an array to those who index its first dimension. Safe for threads.

    Args:
        member: what is unpacked.
        restarts: decoders that stand in it, as of `checked_restarts`.
    """

    def __init__(self, member: PackedMember, restarts: Sequence[Decoder]) -> None:
        self._member, self._restarts = member, restarts
        self.shape, self.dtype, self.ndim = member.shape, member.dtype, len(member.shape)
        self._rows_per_block = max(1, _BLOCK_BYTES // max(1, member.row_bytes))
        self._decoder = restarts[0].copy()
        self._blocks: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of the whole array."""
        return self._member.num_bytes - self._member.num_header_bytes

    def __getitem__(self, key: Any) -> NDArray[Any]:  # noqa: ANN401  # as arrays are indexed
        """Rows: by number, slice, or numbers `int64 [n]`, and what else of them, as of any array."""
        if isinstance(key, tuple):
            first, others = key[0], key[1:]
            rows: NDArray[Any] = self[first][others if isinstance(first, int | np.integer) else (slice(None), *others)]
            return rows
        chosen = np.arange(len(self))[key]
        if np.ndim(chosen) == 0:
            return self._row(int(chosen))
        found = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for place, row in enumerate(chosen):
            found[place] = self._row(int(row))
        return found

    def _row(self, row: int) -> NDArray[Any]:
        number, place = divmod(row, self._rows_per_block)
        with self._lock:
            if number not in self._blocks:
                self._blocks[number] = self._unpacked(number * self._rows_per_block)
                if len(self._blocks) > _KEPT_BLOCKS:
                    self._blocks.popitem(last=False)
            return self._blocks[number][place]

    def _unpacked(self, first: int) -> NDArray[Any]:
        """Rows from one on, a block of them."""
        member = self._member
        num_rows = min(self._rows_per_block, len(self) - first)
        begin = member.num_header_bytes + first * member.row_bytes
        nearest = self._restarts[bisect_right(self._restarts, begin, key=lambda decoder: decoder.num_given) - 1]
        if not nearest.num_given <= self._decoder.num_given <= begin:
            self._decoder = nearest.copy()
        decoder, content = self._decoder, bytearray()
        end = begin + num_rows * member.row_bytes
        while decoder.num_given < end:
            missing = (begin if decoder.num_given < begin else end) - decoder.num_given
            if not (chunk := decoder.take(member, min(missing, _BLOCK_BYTES))):
                raise OSError(f"'{member.name}' has changed while it was read")
            if decoder.num_given > begin:
                content += chunk
        return np.frombuffer(bytes(content), self.dtype).reshape(num_rows, *self.shape[1:])
