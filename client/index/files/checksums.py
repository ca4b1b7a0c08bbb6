"""Checksums of many rows at once, at the speed of memory.

A row's checksum is the sum of its words, each times an odd number of its own, modulo 2^64. An odd number has an inverse
modulo 2^64, so no change of a single word goes unseen, nor words exchanged. Hashes of single rows,
of which a million are read when an index is opened, would take a hundred times as long.
"""

from functools import lru_cache
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PAGE_BYTES",
    "checksum_of_pages",
    "content_checksum",
    "row_checksums",
    "stream_checksum",
    "stream_pages",
]

PAGE_BYTES = 4096
# Read at once from a file.
_PIECE_PAGES = 1024
_SEED = 20_260_714


def row_checksums(rows: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Checksum of each row: `uint64 [R]`.

    Args:
        rows: `[R, ...]`, C-contiguous, a row of a whole number of 2-byte words.
    """
    num_rows = len(rows)
    num_values = int(np.prod(rows.shape[1:]))
    row_bytes = rows.itemsize * num_values
    word = next(np.dtype(f"<u{size}") for size in (8, 4, 2) if row_bytes % size == 0)
    words = rows.reshape(num_rows, num_values).view(word)
    if word.itemsize < 8:
        words = words.astype(np.uint64)
    return np.einsum("ij,j->i", words, _odd_numbers(words.shape[1]))


def content_checksum(content: bytes | bytearray | memoryview) -> int:
    """Checksum of the bytes of a file: over its pages, and over their checksums and the length."""
    return checksum_of_pages(_pages_to_the_end(np.frombuffer(content, np.uint8)), len(content))


def stream_checksum(stream: BinaryIO) -> int:
    """The same of what a file still holds, read in pieces, so that it need not be in memory at once."""
    return checksum_of_pages(*stream_pages(stream))


def stream_pages(stream: BinaryIO) -> tuple[NDArray[np.uint64], int]:
    """Checksums of the pages of what a file still holds, `uint64 [P]`, and its length."""
    pages, length, piece = [], 0, np.empty((_PIECE_PAGES, PAGE_BYTES), np.uint8)
    while (count := _filled(stream, piece)) == piece.size:
        length += count
        pages.append(row_checksums(piece))
    pages.append(_pages_to_the_end(piece.ravel()[:count]))
    return np.concatenate(pages), length + count


def checksum_of_pages(pages: NDArray[np.uint64], length: int) -> int:
    """Checksum of a content by those of its pages, `uint64 [P]`; zeros fill up the last, which may be empty."""
    words = np.append(pages, np.uint64(length))
    return int(row_checksums(words[None].view(np.uint8))[0])


def _pages_to_the_end(data: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Of all pages; zeros fill up the last one, which there is even if it is empty."""
    num_whole = len(data) // PAGE_BYTES
    whole = data[: num_whole * PAGE_BYTES].reshape(num_whole, PAGE_BYTES)
    last = np.zeros((1, PAGE_BYTES), np.uint8)
    last[0, : len(data) - whole.size] = data[whole.size :]
    return np.concatenate([row_checksums(whole), row_checksums(last)])


def _filled(stream: BinaryIO, piece: NDArray[np.uint8]) -> int:
    """Read until the piece is full or the file at its end; how many bytes."""
    room, count = piece.data.cast("B"), 0
    while count < len(room) and (read := stream.readinto(room[count:])):  # type: ignore[attr-defined]
        count += read
    return count


@lru_cache(maxsize=8)
def _odd_numbers(count: int) -> NDArray[np.uint64]:
    numbers = np.random.default_rng(_SEED).integers(0, 1 << 63, size=count, dtype=np.uint64)
    return numbers * np.uint64(2) + np.uint64(1)
