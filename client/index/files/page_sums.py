"""The checksum of a catalogue, kept up page by page while its writer changes some."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.checksums import PAGE_BYTES, checksum_of_pages, row_checksums, stream_pages

__all__ = ["PageSums"]

# Of SQLite's log (https://www.sqlite.org/fileformat2.html#walformat): magic, version, page size, checkpoint number,
# salt; and of each frame: page, size of the database, salt.
_LOG_HEADER, _FRAME_HEADER = struct.Struct(">4I8s8x"), struct.Struct(">2I8s8x")


class PageSums:
    """Checksums of the pages of a catalogue.

    What is not said to have changed is not looked at again: a byte that the disk has changed meanwhile fits no seal.

    Args:
        path: Of the catalogue.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as stream:
            self._sums, self.num_bytes = stream_pages(stream)

    @property
    def checksum(self) -> int:
        """Of the whole, see `checksums.content_checksum`."""
        return checksum_of_pages(self._sums, self.num_bytes)

    def take_log(self, log: Path) -> Self:
        """Look again at the pages that a log has brought into the catalogue."""
        self.look_again(_pages_of(log))
        return self

    def take_header(self) -> bool:
        """Look again at the first page, which SQLite changes where it begins to keep a log; whether it has."""
        before = self._sums[0]
        self.look_again([(0, PAGE_BYTES)])
        return bool(self._sums[0] != before)

    def look_again(self, places: Iterable[tuple[int, int]]) -> None:
        """Look again at parts of the catalogue.

        Args:
            places: Begin and end of each, in bytes.
        """
        num_bytes = self._path.stat().st_size
        if num_bytes != self.num_bytes:
            self._resize(num_bytes)
        changed = {page for begin, end in places for page in range(begin // PAGE_BYTES, -(-end // PAGE_BYTES))}
        with self._path.open("rb") as stream:
            for page in sorted(changed):
                if page < len(self._sums):
                    stream.seek(page * PAGE_BYTES)
                    content = stream.read(PAGE_BYTES).ljust(PAGE_BYTES, b"\0")
                    self._sums[page] = row_checksums(np.frombuffer(content, np.uint8)[None])[0]

    def _resize(self, num_bytes: int) -> None:
        """Those of pages that are new are wrong until they are looked at."""
        sums: NDArray[np.uint64] = np.zeros(num_bytes // PAGE_BYTES + 1, np.uint64)
        kept = min(len(sums), len(self._sums)) - 1
        sums[:kept] = self._sums[:kept]
        self._sums, self.num_bytes = sums, num_bytes


def _pages_of(log: Path) -> Iterator[tuple[int, int]]:
    """Where the pages that are in a log belong."""
    with log.open("rb") as stream:
        header = stream.read(_LOG_HEADER.size)
        if len(header) < _LOG_HEADER.size:
            return
        _, _, page_bytes, _, salt = _LOG_HEADER.unpack(header)
        place = _LOG_HEADER.size
        while len(frame := stream.read(_FRAME_HEADER.size)) == _FRAME_HEADER.size:
            page, _, of = _FRAME_HEADER.unpack(frame)
            if of != salt:  # left by what the log held before
                return
            yield (page - 1) * page_bytes, page * page_bytes
            place += _FRAME_HEADER.size + page_bytes
            stream.seek(place)
