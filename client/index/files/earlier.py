"""Indexes of the first schema: vectors lie in the catalogue, and a video has one path.

They are read as they are, into memory; the first writer brings them into today's form.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.tables import VideoRecord, new_tables, put_fact, put_place, put_video
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.proven import Proven
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.records import IndexFacts, RowFacts, check_vectors
from cocon.core.errors import MismatchError
from cocon.core.printable import printable, unescaped

__all__ = ["bring_over", "earlier_facts", "earlier_snapshot"]

# Where rows go: number of the first, and the rows.
WriteRows = Callable[[int, NDArray[np.float32]], None]

_COLUMNS = ("content_sha256", "view", "num_frames", "truncated", "overlap", "model", "version", "fingerprint")
_VIDEOS = f"SELECT path, label, {', '.join(_COLUMNS)}, video_id FROM videos ORDER BY video_id"
_CLIPS = "SELECT start_seconds, end_seconds, vector FROM clips WHERE video_id = ? ORDER BY clip"


def earlier_snapshot(folder: Path, old: sqlite3.Connection) -> Snapshot:
    """An index of the first schema, read into memory."""
    parts: list[NDArray[np.float32]] = []
    new = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    bad = bring_over(old, new, lambda _, rows: parts.append(rows), vectors_name="", epoch="")
    vectors = np.concatenate(parts) if parts else np.empty((0, earlier_facts(old).embedding_dim), np.float32)
    new.execute("PRAGMA query_only = ON")
    return Snapshot(folder, Proven(new, "", bad), held=(vectors, None))


def bring_over(
    old: sqlite3.Connection, new: sqlite3.Connection, write: WriteRows, *, vectors_name: str, epoch: str
) -> tuple[str, ...]:
    """Fill an empty database with what an index of the first schema holds.

    Args:
        old: Its catalogue.
        new: An empty database.
        write: Takes the vectors.
        vectors_name: Of the file that they go to.
        epoch: Of the first commit.

    Returns:
        What is left out because its vectors are unsound, a sentence each.

    Raises:
        MismatchError: It does not say what it was made for.
    """
    facts = earlier_facts(old)
    new_tables(new, facts, RowFacts(vectors_name, None, 0, 0), epoch)
    total, bad = 0, []
    new.execute("BEGIN")
    for path, label, *columns, video_id in old.execute(_VIDEOS):
        known = dict(zip(_COLUMNS, columns, strict=True))
        clips = old.execute(_CLIPS, [video_id]).fetchall()
        try:
            vectors = _vectors([vector for *_, vector in clips], facts.embedding_dim)
        except MismatchError as error:
            bad.append(f"'{printable(unescaped(path))}' is left out: {error}")
            continue
        spans = np.array([span for *span, _ in clips], np.float64)
        write(total, vectors)
        record = VideoRecord(
            **known,
            first_row=total,
            spans=spans,
            checksums=row_checksums(vectors),
            block_checksums=np.array([], np.uint64),
        )
        put_place(new, path, put_video(new, record), label=label, metadata={})
        total += len(vectors)
    put_fact(new, "rows", {"vectors": vectors_name, "blocks": None, "num_blocks": 0, "total_rows": total})
    if makers := old.execute("SELECT value FROM facts WHERE key = 'made_by'").fetchone():
        put_fact(new, "made_by", json.loads(makers[0]))
    new.execute("COMMIT")
    return tuple(bad)


def earlier_facts(old: sqlite3.Connection) -> IndexFacts:
    """What an index of the first schema was made for.

    Raises:
        MismatchError: It does not say.
    """
    row = old.execute("SELECT value FROM facts WHERE key = 'index'").fetchone()
    if row is None:
        raise MismatchError("the catalogue does not say what it was made for; index the videos anew")
    return IndexFacts.from_json(json.loads(row[0]))


def _vectors(stored: list[bytes], embedding_dim: int) -> NDArray[np.float32]:
    if {len(vector) for vector in stored} != {4 * embedding_dim}:
        raise MismatchError(f"its vectors are not of {embedding_dim} dimensions")
    vectors = np.frombuffer(b"".join(stored), "<f4").reshape(len(stored), -1).astype(np.float32)
    check_vectors(vectors, embedding_dim, source="the catalogue")
    return vectors
