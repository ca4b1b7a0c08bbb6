"""What an index holds, byte by byte; and an index of the first schema."""

import json
import sqlite3

import numpy as np

from cocon.client.index.files.snapshot import Snapshot
from tests.client.index.conftest import embedding_of

__all__ = ["Held", "held_by", "make_earlier"]

Held = dict[tuple[str, int], bytes]


def held_by(snapshot: Snapshot) -> Held:
    """Video and id → vectors and blocks."""
    assert snapshot.blocks is not None
    assert not len(snapshot.unsound)
    found: Held = {}
    for video in snapshot.videos():
        rows = snapshot.rows.rows_of(snapshot.rows.positions_of(np.array([video.video_id])))
        assert snapshot.have_sound_blocks(rows).all()
        found[video.video, video.video_id] = snapshot.vectors[rows].tobytes() + snapshot.blocks[rows].tobytes()
    return found


def make_earlier(connection: sqlite3.Connection, names: list[str]) -> None:
    """A catalogue of the first schema."""
    connection.executescript(EARLIER)
    facts = {"views": ["rgb"], "fingerprint": "f" * 64, "embedding_dim": 8, "model": "cocon_rgb"}
    connection.execute("INSERT INTO facts VALUES ('index', ?)", [json.dumps(facts)])
    for name in names:
        video = embedding_of(name)
        columns = [video.video, video.content_sha256, None, "rgb", 30, 0, 0.0, "cocon_rgb", "1", "f" * 64]
        video_id = connection.execute(
            "INSERT INTO videos (path, content_sha256, label, view, num_frames, truncated, overlap, model, version, "
            "fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            columns,
        ).lastrowid
        for clip, vector in enumerate(video.embedding):
            values = [video_id, clip, float(clip), clip + 1.0, vector.astype("<f4").tobytes()]
            connection.execute("INSERT INTO clips VALUES (NULL, ?, ?, ?, ?, ?)", values)


EARLIER = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE videos (
    video_id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    content_sha256 TEXT NOT NULL UNIQUE,
    label TEXT,
    view TEXT NOT NULL,
    num_frames INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    overlap REAL NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT;
CREATE TABLE clips (
    clip_id INTEGER PRIMARY KEY AUTOINCREMENT,
    video_id INTEGER NOT NULL REFERENCES videos ON DELETE CASCADE,
    clip INTEGER NOT NULL,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    vector BLOB NOT NULL
) STRICT;
"""
