"""Damaged videos, made from sound ones by a seeded generator: the same seed gives the same files.

for path in mutated_files(Path("damaged"), 500, seed=0): ...        # 0007-vp9-zeroed_middle.webm, ...
"""

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .seed_videos import write_seeds

__all__ = ["MUTATIONS", "mutated_files"]

Mutation = Callable[[bytearray, np.random.Generator], bytes]

_HEADER_BYTES = 2048
# Boxes of ISO base media files that hold boxes (ISO 14496-12).
_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"moof", b"traf")
_SECOND_MUTATION_SHARE = 0.25


def mutated_files(folder: Path, num_files: int, seed: int) -> Iterator[Path]:
    """Write damaged videos into `folder`, evenly of all kinds of `SEEDS`, one each time the iterator is asked.

    Args:
        folder: made if it is not there; `sound` in it gets the videos that the others are made from.
        num_files: how many.
        seed: of everything that is drawn.

    Yields:
        The path of a file whose name tells its number, its origin and its mutations.
    """
    sound = write_seeds(folder / "sound")
    names, mutations = sorted(sound), sorted(MUTATIONS)
    for number in range(num_files):
        rng = np.random.default_rng([seed, number])  # a file can be made again without those before it
        # Every origin meets every mutation in turn, whatever their numbers are.
        name = names[number % len(names)]
        chosen = [mutations[(number + number // len(names)) % len(mutations)]]
        if rng.random() < _SECOND_MUTATION_SHARE:
            chosen.append(str(rng.choice(mutations)))
        content = sound[name].read_bytes()
        for mutation in chosen:
            content = MUTATIONS[mutation](bytearray(content), rng)
        path = folder / f"{number:04d}-{name}-{'-'.join(chosen)}{sound[name].suffix}"
        path.write_bytes(content)
        yield path


def _flip(content: bytearray, positions: NDArray[np.int64], rng: np.random.Generator) -> bytes:
    for position in positions:
        content[position] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _few_flips(content: bytearray, rng: np.random.Generator) -> bytes:
    return _flip(content, rng.integers(0, len(content), int(rng.integers(1, 9))), rng) if content else b""


def _many_flips(content: bytearray, rng: np.random.Generator) -> bytes:
    return _flip(content, rng.integers(0, len(content), len(content) // 100 + 1), rng) if content else b""


def _header_flips(content: bytearray, rng: np.random.Generator) -> bytes:
    start = max(0, content.find(b"moov") - 4)
    end = min(len(content), start + _HEADER_BYTES)
    return _flip(content, rng.integers(start, end, int(rng.integers(1, 17))), rng) if content else b""


def _cut_end(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content[: int(rng.integers(0, len(content) + 1))])


def _cut_start(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content[int(rng.integers(0, len(content) // 2 + 1)) :])


def _zeroed_middle(content: bytearray, rng: np.random.Generator) -> bytes:
    start, end = _stretch(content, rng)
    content[start:end] = bytes(end - start)
    return bytes(content)


def _inserted_garbage(content: bytearray, rng: np.random.Generator) -> bytes:
    position = int(rng.integers(0, len(content) + 1))
    return bytes(content[:position] + rng.bytes(int(rng.integers(1, 4096))) + content[position:])


def _repeated_chunk(content: bytearray, rng: np.random.Generator) -> bytes:
    start, end = _stretch(content, rng)
    return bytes(content[:end] + content[start:end] * int(rng.integers(1, 5)) + content[end:])


def _removed_chunk(content: bytearray, rng: np.random.Generator) -> bytes:
    start, end = _stretch(content, rng)
    return bytes(content[:start] + content[end:])


def _swapped_chunks(content: bytearray, rng: np.random.Generator) -> bytes:
    a, b, c, d = sorted(int(position) for position in rng.integers(0, len(content) + 1, 4))
    return bytes(content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:])


def _swapped_boxes(content: bytearray, rng: np.random.Generator) -> bytes:
    """Two neighbours within one box, or at the top, change places; chunks do where there are no boxes."""
    pairs = [(left, right) for boxes in _families(content) for left, right in pairwise(boxes)]
    if not pairs:
        return _swapped_chunks(content, rng)
    (start, middle), (_, end) = pairs[int(rng.integers(len(pairs)))]
    return bytes(content[:start] + content[middle:end] + content[start:middle] + content[end:])


def _removed_box(content: bytearray, rng: np.random.Generator) -> bytes:
    boxes = [box for family in _families(content) for box in family]
    if not boxes:
        return _removed_chunk(content, rng)
    start, end = boxes[int(rng.integers(len(boxes)))]
    return bytes(content[:start] + content[end:])


def _endless_length(content: bytearray, rng: np.random.Generator) -> bytes:
    """The length of a box, or a number within it, becomes as large as can be."""
    boxes = [box for family in _families(content) for box in family]
    if boxes:
        start, end = boxes[int(rng.integers(len(boxes)))]
        position = start + 4 * int(rng.integers(0, max(1, min(12, (end - start) // 4))))
    else:
        position = int(rng.integers(0, max(1, min(len(content), _HEADER_BYTES))))
    content[position : position + 4] = b"\xff" * min(4, len(content) - position)
    return bytes(content)


def _high_bytes(content: bytearray, rng: np.random.Generator) -> bytes:
    """Runs of 0xFF, or of 0x7F (the largest signed number), all over the first part."""
    for position in rng.integers(0, min(len(content), _HEADER_BYTES) + 1, int(rng.integers(1, 6))):
        run = bytes([int(rng.choice([0x7F, 0xFF]))]) * int(rng.integers(1, 9))
        content[int(position) : int(position) + len(run)] = run
    return bytes(content)


MUTATIONS: dict[str, Mutation] = {
    "few_flips": _few_flips,
    "many_flips": _many_flips,
    "header_flips": _header_flips,
    "cut_end": _cut_end,
    "cut_start": _cut_start,
    "zeroed_middle": _zeroed_middle,
    "inserted_garbage": _inserted_garbage,
    "repeated_chunk": _repeated_chunk,
    "removed_chunk": _removed_chunk,
    "swapped_chunks": _swapped_chunks,
    "swapped_boxes": _swapped_boxes,
    "removed_box": _removed_box,
    "endless_length": _endless_length,
    "high_bytes": _high_bytes,
}


def _stretch(content: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    """Begin and end of a part, at most a third of the whole."""
    start = int(rng.integers(0, len(content) + 1))
    return start, min(len(content), start + int(rng.integers(0, len(content) // 3 + 1)))


def _families(content: bytearray) -> list[list[tuple[int, int]]]:
    """(start, end) of the boxes of an ISO base media file: those at the top, then those within each holder."""
    if content[4:8] != b"ftyp":
        return []
    families, ranges = [], [(0, len(content))]
    while ranges:
        position, limit = ranges.pop(0)
        boxes = []
        while position + 8 <= limit:
            length = struct.unpack_from(">I", content, position)[0]
            if not 8 <= length <= limit - position:
                break
            boxes.append((position, position + length))
            if bytes(content[position + 4 : position + 8]) in _HOLDERS:
                ranges.append((position + 8, position + length))
            position += length
        families.append(boxes)
    return families
