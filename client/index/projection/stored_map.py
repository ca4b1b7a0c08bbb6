"""A map of an index: a place in a plane for each clip. Its file is a cache: what is damaged is made anew.

index/map.npz               places of clips, and of which vectors they are; proven by a checksum
"""

import hashlib
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError
from cocon.core.printable import in_one_line
from cocon.core.storage import refused

__all__ = ["MAP_FILE", "MapPoints", "StoredMap", "read_map", "write_map"]

MAP_FILE = "map.npz"
_SCHEMA = 1
_FACTS, _CHECKSUM = "facts", "checksum"
# Of thirty million points; and of what a message repeats of a file that is none.
_MAX_BYTES, _MAX_REASON = 1 << 30, 200
# What NumPy and zipfile raise, whatever bytes they are given.
_DAMAGE = (
    *(OSError, ValueError, LookupError, EOFError, TypeError, AttributeError, RuntimeError, MemoryError, OverflowError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)


@dataclass(frozen=True, slots=True, eq=False)
class StoredMap:
    """Clips of an index in a plane, M of them: what lies close together is alike.

    Attributes:
        method: How the places were found, for people.
        xy: From -1 to 1, `float32 [M, 2]`.
        video_ids: Of each, `int64 [M]`.
        clips: Number of each in its video, from 0, `int64 [M]`.
        are_placed: Which came after the map was made, and were put beside their neighbours: `bool [M]`.
        is_stale: Whether most of the index came later or is gone, so that the map should be made anew.
    """

    method: str
    xy: NDArray[np.float32] = field(repr=False)
    video_ids: NDArray[np.int64] = field(repr=False)
    clips: NDArray[np.int64] = field(repr=False)
    are_placed: NDArray[np.bool_] = field(repr=False)
    is_stale: bool = False

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True, slots=True, eq=False)
class MapPoints:
    """What the file of a map holds.

    Attributes:
        method: How the places were found, for people.
        share: What share of the clips that there were is on it.
        max_clips: Most that it was to have.
        last_video_id: Videos with greater ids came later.
        xy: `float32 [M, 2]`.
        video_ids: `int64 [M]`.
        clips: `int64 [M]`.
        checksums: Of their vectors, `uint64 [M]`.
        are_placed: `bool [M]`.
    """

    method: str
    share: float
    max_clips: int
    last_video_id: int
    xy: NDArray[np.float32] = field(repr=False)
    video_ids: NDArray[np.int64] = field(repr=False)
    clips: NDArray[np.int64] = field(repr=False)
    checksums: NDArray[np.uint64] = field(repr=False)
    are_placed: NDArray[np.bool_] = field(repr=False)

    def __len__(self) -> int:
        return len(self.xy)

    def kept(self, are_kept: NDArray[np.bool_]) -> "MapPoints":
        """Some of the points."""
        columns: dict[str, Any] = {name: column[are_kept] for name, column in self.columns()}
        return replace(self, **columns)

    def with_more(self, more: "MapPoints") -> "MapPoints":
        """These points and those of videos that came later."""
        joined: dict[str, Any] = {
            name: np.concatenate([column, getattr(more, name)]) for name, column in self.columns()
        }
        return replace(self, last_video_id=more.last_video_id, **joined)

    def columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The arrays by name, a value or row for each point."""
        for name, dtype in _COLUMNS.items():
            yield name, np.ascontiguousarray(getattr(self, name), dtype)

    def facts(self) -> dict[str, object]:
        """What is no array."""
        named = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _COLUMNS}
        return {"schema": _SCHEMA, **named}


_COLUMNS = {"xy": "<f4", "video_ids": "<i8", "clips": "<i8", "checksums": "<u8", "are_placed": "?"}


def read_map(folder: Path) -> MapPoints | None:
    """The map of an index; None where there is none.

    Raises:
        MismatchError: It is damaged, cannot be read, or is of another release.
    """
    try:
        with np.load(BytesIO(_content(folder / MAP_FILE)), allow_pickle=False) as held:
            columns = {name: held[name] for name in _COLUMNS}
            facts = json.loads(held[_FACTS].tobytes())
            checksum = held[_CHECKSUM].tobytes()
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        raise _unusable(in_one_line(error)[:_MAX_REASON]) from error
    if facts.pop("schema", None) != _SCHEMA:
        raise _unusable("another release has written it")
    try:
        found = MapPoints(**facts, **columns)
    except TypeError as error:
        raise _unusable(in_one_line(error)) from error
    if _checksum(found) != checksum or len({len(column) for column in columns.values()}) != 1:
        raise _unusable("its checksum does not fit")
    return found


def _content(path: Path) -> bytes:
    """The bytes of a map, or of what is called so, as far as a map can be; raises `ValueError` for what is none."""
    # A FIFO in its place has nobody wait for its writer.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            raise ValueError(f"it is no file of at most {_MAX_BYTES:,} bytes")
        content = stream.read(_MAX_BYTES)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
            raise ValueError("it is packed, which no map is")  # nobody knows how large it would become
    return content


def write_map(folder: Path, points: MapPoints) -> None:
    """Replace the map of an index.

    Raises:
        StorageError: The disk takes no more.
        UsageError: The folder cannot be written.
    """
    facts = np.frombuffer(json.dumps(points.facts()).encode(), np.uint8)
    try:
        with replacing(folder / MAP_FILE) as partial, partial.open("wb") as stream:
            checksum = np.frombuffer(_checksum(points), np.uint8)
            np.savez(stream, **{_FACTS: facts, _CHECKSUM: checksum}, **dict(points.columns()))
    except OSError as error:
        raise refused(error, f"map '{folder / MAP_FILE}'") from error


def _checksum(points: MapPoints) -> bytes:
    found = hashlib.blake2b(json.dumps(points.facts(), sort_keys=True).encode(), digest_size=16)
    for name, column in points.columns():
        found.update(f"{name} {column.dtype} {column.shape}".encode())
        found.update(column.data)
    return found.digest()


def _unusable(why: str) -> MismatchError:
    return MismatchError(f"'{MAP_FILE}' is damaged and left out ({why}); 'client index map' makes it anew")
