"""The truth of an index: a SQLite catalogue of videos, clips and vectors.

Paths are stored in their written form (`printable.escaped`), which is theirs but for names that are no text.

Every video is one transaction, so a process killed at any moment leaves whole videos only. Readers see the state at
their first look and are not disturbed by a writer (WAL).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.makers import note_makers, read_makers
from cocon.client.index.opening import CatalogFile, connect, translation
from cocon.client.index.records import CacheFacts, IndexedVideo, IndexFacts, Moment, check_vectors
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError
from cocon.core.printable import escaped, printable, unescaped

__all__ = ["Catalog"]

_CHUNK = 4096
_SCHEMA = """
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
    clip_id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the id in FAISS; never given twice
    video_id INTEGER NOT NULL REFERENCES videos ON DELETE CASCADE,
    clip INTEGER NOT NULL,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    vector BLOB NOT NULL                        -- float32, little endian
) STRICT;
CREATE INDEX clips_of_video ON clips (video_id);
"""
_VIDEOS = """
SELECT path, label, count(clip_id), max(end_seconds), overlap, content_sha256
FROM videos JOIN clips USING (video_id) {} GROUP BY video_id ORDER BY path
"""


class Catalog:
    """An open catalogue. A context manager; for one thread.

    Args:
        path: `catalog.sqlite`.
        facts: What to make it for when it is new; without them it must exist.

    Raises:
        MismatchError: It is no catalogue, or damaged.
        StorageError: The disk takes no more of it.
        UsageError: It cannot be opened, or was written to by somebody else where no lock can be held.
    """

    def __init__(self, path: Path, facts: IndexFacts | None = None) -> None:
        self._path = path
        self._file: CatalogFile | None = None
        with self._translated():
            if facts is not None and not path.exists():
                with replacing(path, is_durable=True) as partial:
                    _create(partial, facts)
            self._file = CatalogFile(path)
            self._connection = self._file.connection
            try:
                self.facts = self._read_facts()
            except BaseException:
                self._file.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._file
        with closing(self._file):
            self._file.check_unchanged()

    @property
    def cache_facts(self) -> CacheFacts:
        """What a FAISS index of the present state would have to agree with."""
        with self._translated():
            (count,) = self._connection.execute("SELECT count(*) FROM clips").fetchone()
            (generation,) = self._connection.execute("SELECT value FROM facts WHERE key = 'generation'").fetchone()
        facts = self.facts
        return CacheFacts(int(generation), count, facts.embedding_dim, facts.views, facts.fingerprint)

    def made_by(self) -> dict[str, tuple[str, ...]]:
        """See `read_makers`."""
        with self._translated():
            return read_makers(self._connection)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one state."""
        with self._transaction("BEGIN"):
            yield

    def videos(self) -> list[IndexedVideo]:
        """All videos, by path."""
        with self._translated():
            return [_indexed(*row) for row in self._connection.execute(_VIDEOS.format(""))]

    def holder_of(self, content_sha256: str) -> IndexedVideo | None:
        """The video with this content."""
        with self._translated():
            row = self._connection.execute(_VIDEOS.format("WHERE content_sha256 = ?"), [content_sha256]).fetchone()
        return None if row is None else _indexed(*row)

    def label_of(self, path: str) -> str | None:
        """The label of what a path holds; None if it holds nothing or that has none."""
        with self._translated():
            row = self._connection.execute("SELECT label FROM videos WHERE path = ?", [escaped(path)]).fetchone()
        return None if row is None else row[0]

    def put(self, path: str, video: VideoEmbedding, *, label: str | None, overlap: float) -> bool:
        """Store a video and its clips in the place of what the path held before, and of the same content elsewhere.

        Returns:
            Whether something was replaced.

        Raises:
            MismatchError: The vectors are unsound, or of another model; nothing is stored.
        """
        check_vectors(video.embedding, self.facts.embedding_dim, source=f"'{printable(video.video)}'")
        if video.fingerprint != self.facts.fingerprint:
            raise MismatchError(f"'{printable(video.video)}' was embedded by another model than the index")
        with self._transaction("BEGIN IMMEDIATE"):
            written = escaped(path)
            old = [written, video.content_sha256]
            replaced = self._connection.execute("DELETE FROM videos WHERE path = ? OR content_sha256 = ?", old).rowcount
            columns = [written, video.content_sha256, label, video.view, video.num_frames, video.truncated, overlap]
            video_id = self._connection.execute(
                """INSERT INTO videos (path, content_sha256, label, view, num_frames, truncated, overlap,
                                       model, version, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                [*columns, video.model, video.version, video.fingerprint],
            ).lastrowid
            times = zip(video.start_seconds.tolist(), video.end_seconds.tolist(), video.embedding, strict=True)
            self._connection.executemany(
                "INSERT INTO clips (video_id, clip, start_seconds, end_seconds, vector) VALUES (?, ?, ?, ?, ?)",
                [(video_id, clip, *span, vector.astype("<f4").tobytes()) for clip, (*span, vector) in enumerate(times)],
            )
            note_makers(self._connection, video.made_by)
            self._next_generation()
        return replaced > 0

    def move(self, old_path: str, new_path: str, *, label: str | None) -> None:
        """Give a video another path, which may be its own, and label; what that path held before is forgotten."""
        with self._transaction("BEGIN IMMEDIATE"):
            old, new = escaped(old_path), escaped(new_path)
            self._connection.execute("DELETE FROM videos WHERE path = ? AND path <> ?", [new, old])
            self._connection.execute("UPDATE videos SET path = ?, label = ? WHERE path = ?", [new, label, old])
            self._next_generation()

    def remove(self, paths: Iterable[str]) -> None:
        """Forget videos."""
        with self._transaction("BEGIN IMMEDIATE"):
            query = "DELETE FROM videos WHERE path = ?"
            if self._connection.executemany(query, [(escaped(path),) for path in paths]).rowcount > 0:
                self._next_generation()

    def vectors(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """All clips in parts: ids `int64 [K]`, vectors `float32 [K, D]`.

        Raises:
            MismatchError: A stored vector has another dimension.
        """
        with self._translated():
            cursor = self._connection.execute("SELECT clip_id, vector FROM clips ORDER BY clip_id")
            while rows := cursor.fetchmany(_CHUNK):
                if {len(vector) for _, vector in rows} != {4 * self.facts.embedding_dim}:
                    raise MismatchError(
                        f"catalogue '{printable(self._path)}' holds vectors of another dimension; index anew"
                    )
                vectors = np.frombuffer(b"".join(vector for _, vector in rows), "<f4")
                yield np.array([clip_id for clip_id, _ in rows]), vectors.reshape(len(rows), -1).astype(np.float32)

    def moments(self, clip_ids: Sequence[int]) -> dict[int, Moment]:
        """Clip id → the moment it stands for; ids that are gone are left out."""
        query = """SELECT clip_id, path, start_seconds, end_seconds, label FROM clips JOIN videos USING (video_id)
                   WHERE clip_id IN (SELECT value FROM json_each(?))"""
        with self._translated():
            rows = self._connection.execute(query, [json.dumps(list(clip_ids))])
            return {clip_id: Moment(unescaped(path), *moment) for clip_id, path, *moment in rows}

    def _read_facts(self) -> IndexFacts:
        row = self._connection.execute("SELECT value FROM facts WHERE key = 'index'").fetchone()
        if row is None:
            raise MismatchError(
                f"catalogue '{printable(self._path)}' does not say what it was made for; index the videos anew"
            )
        content = json.loads(row[0])
        return IndexFacts(**content | {"views": tuple(content["views"])})

    def _next_generation(self) -> None:
        self._connection.execute("UPDATE facts SET value = CAST(value AS INTEGER) + 1 WHERE key = 'generation'")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._translated():
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself has rolled back where a disk is full
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The one place where SQLite's errors become ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise translation(f"catalogue '{printable(self._path)}'", error, self._file) from error


def _indexed(path: str, *others: Any) -> IndexedVideo:  # noqa: ANN401  # columns of SQLite
    return IndexedVideo(unescaped(path), *others)


def _create(path: Path, facts: IndexFacts) -> None:
    path.touch()
    with ExitStack() as beside, closing(connect(path)) as connection:
        for ending in ("-wal", "-shm", "-journal"):  # stay where the disk is full
            beside.callback(path.with_name(path.name + ending).unlink, missing_ok=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        rows = [("index", json.dumps(asdict(facts))), ("generation", "0")]
        connection.executemany("INSERT INTO facts VALUES (?, ?)", rows)
