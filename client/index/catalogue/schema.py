"""The tables of a catalogue, and the checksum that every record of it carries.

`videos` are contents: the same bytes under two names are one video with two `places`. A video's rows in the vectors
file follow one another from `first_row`, and ids rise with them. The tally is the exclusive or of all checksums, so
that a record which a damaged page has swallowed is missed.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cocon.core.errors import MismatchError
from cocon.core.printable import printable

__all__ = [
    "FACT_COLUMNS",
    "PLACE_COLUMNS",
    "SCHEMA",
    "SQL",
    "VIDEO_COLUMNS",
    "NewerSchemaError",
    "Select",
    "check_schema",
    "record_checksum",
]

SCHEMA = 2

Select = Callable[[str, list[Any]], list[tuple[Any, ...]]]
"""Asks a catalogue: SQL, parameters → rows."""

VIDEO_COLUMNS = (
    "video_id", "content_sha256", "view", "num_frames", "truncated", "overlap", "model", "version", "fingerprint",
    "first_row", "num_rows", "spans", "checksums", "block_checksums",
)  # fmt: skip
PLACE_COLUMNS = ("path", "video_id", "label", "metadata", "file")
FACT_COLUMNS = ("key", "value")

_TABLES = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT;  -- value: JSON
CREATE TABLE videos (
    video_id INTEGER PRIMARY KEY AUTOINCREMENT,
    content_sha256 TEXT NOT NULL UNIQUE,
    view TEXT NOT NULL,
    num_frames INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    overlap REAL NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    first_row INTEGER NOT NULL,
    num_rows INTEGER NOT NULL,
    spans BLOB NOT NULL,      -- start and end in seconds of each clip, float64 [K, 2], little endian
    checksums BLOB NOT NULL,  -- of each clip's vector, uint64 [K], see checksums.py
    block_checksums BLOB NOT NULL,  -- of each clip's blocks; empty where they are not known
    checksum INTEGER NOT NULL,
    UNIQUE (first_row, num_rows)    -- which answers alone which rows are whose
) STRICT;
CREATE TABLE places (
    path TEXT PRIMARY KEY,    -- in its written form, see core/printable.py
    video_id INTEGER NOT NULL REFERENCES videos ON DELETE CASCADE,
    label TEXT,
    metadata TEXT NOT NULL,   -- JSON object
    file TEXT,                -- what the system said of the file when its content was read, JSON; NULL: read it again
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX places_of_video ON places (video_id);
CREATE INDEX places_of_label ON places (label, video_id);
CREATE TABLE unplaced (       -- contents that an addition found at no place any more, until it has seen all its files
    video_id INTEGER PRIMARY KEY REFERENCES videos ON DELETE CASCADE,
    label TEXT,               -- of the place that it had last
    metadata TEXT NOT NULL
) STRICT;
CREATE TABLE failures (
    path TEXT PRIMARY KEY,
    content_sha256 TEXT,      -- NULL: could not be read
    tried TEXT NOT NULL,      -- options that decide whether it fails, JSON
    class TEXT NOT NULL,
    message TEXT NOT NULL,
    label TEXT,               -- of the video that was there, if one was
    metadata TEXT
) STRICT;
CREATE TABLE tally (checksum INTEGER NOT NULL) STRICT;
INSERT INTO tally VALUES (0);
"""
# SQLite has no exclusive or.
_TRIGGER = """
CREATE TRIGGER {table}_{event} AFTER {event} ON {table} BEGIN
    UPDATE tally SET checksum = (checksum | {row}.checksum) - (checksum & {row}.checksum);
END;
"""
_UPDATE = """
CREATE TRIGGER {table}_update AFTER UPDATE ON {table} BEGIN
    UPDATE tally SET checksum = (checksum | old.checksum) - (checksum & old.checksum);
    UPDATE tally SET checksum = (checksum | new.checksum) - (checksum & new.checksum);
END;
"""
SQL = _TABLES + "".join(
    _TRIGGER.format(table=table, event="INSERT", row="new")
    + _TRIGGER.format(table=table, event="DELETE", row="old")
    + _UPDATE.format(table=table)
    for table in ("videos", "places")
)


class NewerSchemaError(MismatchError):
    """A newer version has written the index: nothing is wrong with it."""


def check_schema(schema: int, folder: Path) -> None:
    """Raise `NewerSchemaError` if a newer version has written an index."""
    if schema > SCHEMA:
        raise NewerSchemaError(
            f"index '{printable(folder)}' was written by a newer version of cocon (schema {schema}, this one knows "
            f"{SCHEMA}); update cocon"
        )


def record_checksum(*values: object) -> int:
    """Of the columns of a record, in their order and without its checksum; fits an integer of SQLite."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(b"%d " % len(content))
        digest.update(content)
    return int.from_bytes(digest.digest(), "little") >> 1
