"""Writing records into the tables of a catalogue, with their checksums. The caller is in a transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.schema import SCHEMA, SQL, Select, record_checksum
from cocon.client.index.records import IndexFacts, RowFacts

__all__ = ["VideoRecord", "insert_record", "new_tables", "put_fact", "put_place", "put_video", "read_fact"]


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """A video as the catalogue holds it.

    Attributes:
        content_sha256: Of the file.
        view: Views that were fused.
        num_frames: Frames decoded.
        truncated: Whether pictures are known to be missing.
        overlap: Share of a clip that the next one repeats.
        model: Names of the models.
        version: Their versions.
        fingerprint: Identity of what the vectors mean.
        first_row: Of its rows.
        spans: Start and end of its clips in seconds, `float64 [K, 2]`.
        checksums: Of its vectors, `uint64 [K]`.
        block_checksums: Of its blocks, `uint64 [K]`, or empty.
    """

    content_sha256: str
    view: str
    num_frames: int
    truncated: bool
    overlap: float
    model: str
    version: str
    fingerprint: str
    first_row: int
    spans: NDArray[np.float64]
    checksums: NDArray[np.uint64]
    block_checksums: NDArray[np.uint64]


def new_tables(connection: sqlite3.Connection, facts: IndexFacts, rows: RowFacts, epoch: str) -> None:
    """Make the tables of an empty catalogue."""
    connection.executescript(SQL)
    named = {"schema": SCHEMA, "epoch": epoch, "previous_epoch": epoch, "index": facts.to_dict(), "rows": asdict(rows)}
    for key, value in named.items():
        put_fact(connection, key, value)


def read_fact(select: Select, key: str) -> Any:  # noqa: ANN401  # JSON
    """A named JSON value; None where there is none."""
    found = select("SELECT value FROM facts WHERE key = ?", [key])
    return json.loads(found[0][0]) if found else None


def put_fact(connection: sqlite3.Connection, key: str, value: object) -> None:
    """Set a named JSON value."""
    record = (key, json.dumps(value))
    connection.execute("DELETE FROM facts WHERE key = ?", [key])
    connection.execute("INSERT INTO facts VALUES (?, ?, ?)", [*record, record_checksum(*record)])


def put_video(connection: sqlite3.Connection, video: VideoRecord) -> int:
    """Insert a video whose content is not there; returns its id."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'videos'").fetchone()
    video_id = 1 if row is None else row[0] + 1
    arrays = (video.spans.astype("<f8"), video.checksums.astype("<u8"), video.block_checksums.astype("<u8"))
    record: list[Any] = [video_id, video.content_sha256, video.view, video.num_frames, int(video.truncated)]
    record += [float(video.overlap), video.model, video.version, video.fingerprint, video.first_row, len(video.spans)]
    record += [array.tobytes() for array in arrays]
    insert_record(connection, "videos", record)
    return int(video_id)


def put_place(
    connection: sqlite3.Connection,
    path: str,
    video_id: int,
    *,
    label: str | None,
    metadata: Mapping[str, object],
    file: object = None,
) -> None:
    """Say which video a path holds, in the place of what it held before.

    Args:
        connection: Of the catalogue.
        path: In its written form.
        video_id: Of the content.
        label: Of the video there.
        metadata: What else is known of it.
        file: What the system says of the file, as JSON; None: its content is to be read when it is asked for again.
    """
    known = json.dumps(dict(metadata), sort_keys=True, ensure_ascii=False)
    connection.execute("DELETE FROM places WHERE path = ?", [path])
    insert_record(connection, "places", [path, video_id, label, known, None if file is None else json.dumps(file)])


def insert_record(connection: sqlite3.Connection, table: str, record: Iterable[Any]) -> None:
    """Insert the columns of a record, with its checksum."""
    values = [*record]
    values.append(record_checksum(*values))
    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
