"""What is fetched of an index in Milvus, as the catalogue and the snapshot that a folder has."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.collection.expressions import any_of
from cocon.client.collection.records_kept import KINDS, new_catalogue, record_key, take_records, take_video
from cocon.client.collection.stored_rows import StoredRows, blocks_of
from cocon.client.collection.urls import CollectionUrl
from cocon.client.index.catalogue.tables import put_fact, read_fact
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.proven import Proven
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.records import IndexFacts, RowFacts
from cocon.core.errors import MismatchError

__all__ = [
    "CLIP_FIELDS",
    "COLLECTION_SCHEMA",
    "Records",
    "as_snapshot",
    "fact_records",
    "facts_of",
    "filled_catalogue",
    "places_of",
    "records_of",
    "settled",
    "videos_of_ids",
    "whole_records",
    "with_vectors",
]

COLLECTION_SCHEMA = 1
"""Of the rows of the collections."""

CLIP_FIELDS = ("key", "start_seconds", "end_seconds", "vector")
_TABLES = {kind: table for table, kind in KINDS.items()}
# Bytes of vectors from which on they are kept in a temporary file.
_MAX_IN_MEMORY = 512 << 20
_IDS_ASKED = 1_000

Records = dict[str, list[list[Any]]]
"""Table → records; of videos `VIDEO_FIELDS`."""


def facts_of(stored: StoredRows) -> dict[str, Any]:
    """The facts of an index, which are few.

    Raises:
        MismatchError: A newer version has written it, or it is none.
    """
    rows = stored.where("catalogue", 'kind == "fact"', ["key", "record"])
    facts = {key: json.loads(value) for key, value in (json.loads(row["record"]) for row in rows)}
    schema = facts.get("collection_schema")
    if not isinstance(schema, int) or "index" not in facts:
        raise MismatchError(
            f"index '{stored.url}' is none, or was not made to its end; make it anew under another name, or remove its "
            "collections"
        )
    if schema > COLLECTION_SCHEMA:
        raise MismatchError(
            f"index '{stored.url}' was written by a newer version of cocon (schema {schema}, this one knows "
            f"{COLLECTION_SCHEMA}); update cocon"
        )
    return facts


def fact_records(facts: Mapping[str, Any]) -> list[list[Any]]:
    """Facts as the catalogue keeps them."""
    return [[key, json.dumps(value)] for key, value in facts.items()]


def records_of(rows: Iterable[dict[str, Any]]) -> Records:
    """Rows of a catalogue by table."""
    records: Records = {table: [] for table in KINDS}
    for row in rows:
        if (table := _TABLES.get(row["kind"])) is not None:
            records[table].append(json.loads(row["record"]))
    return records


def videos_of_ids(stored: StoredRows, video_ids: Sequence[int]) -> list[list[Any]]:
    """The records of videos by id, rising; without those that are not there."""
    keys = [record_key("videos", video_id) for video_id in video_ids]
    return sorted(json.loads(row["record"]) for row in stored.of_keys("catalogue", keys, ["record"]))


def places_of(stored: StoredRows, video_ids: Sequence[int]) -> list[list[Any]]:
    """The records of all places of videos."""
    found: list[list[Any]] = []
    for begin in range(0, len(video_ids), _IDS_ASKED):
        expression = f'kind == "place" and {any_of(video_ids[begin : begin + _IDS_ASKED])}'
        found += [json.loads(row["record"]) for row in stored.where("catalogue", expression, ["key", "record"])]
    return found


def settled(videos: list[list[Any]], places: list[list[Any]]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Videos by id, and their places, each content once; without places of no video.

    A writer that was killed as it put a content in the place of the same, embedded anew, leaves both: the later one
    that has a place counts, for all of them.
    """
    placed = {place[1] for place in places}
    chosen: dict[str, list[Any]] = {}
    for video in sorted(videos):
        if video[1] not in chosen or video[0] in placed:
            chosen[video[1]] = video
    now = {video[0]: chosen[video[1]][0] for video in videos}
    moved = [[path, now[video_id], *known] for path, video_id, *known in places if video_id in now]
    return sorted(chosen.values()), moved


def filled_catalogue(records: Records) -> sqlite3.Connection:
    """A catalogue of records; the rows of its videos are numbered by id. What no video is there for is left out."""
    connection = new_catalogue()
    connection.execute("BEGIN")
    take_records(connection, "facts", records["facts"])
    videos, places = settled(records["videos"], records["places"])
    row, known = 0, set()
    for video in videos:
        row = take_video(connection, video, row)
        known.add(video[0])
    take_records(connection, "places", places)
    take_records(connection, "unplaced", (each for each in records["unplaced"] if each[0] in known))
    take_records(connection, "failures", records["failures"])
    connection.execute("COMMIT")
    return connection


def whole_records(stored: StoredRows) -> Records:
    """All records of an index."""
    return records_of(stored.where("catalogue", 'kind != "state"', ["key", "kind", "record"]))


def as_snapshot(
    url: CollectionUrl,
    connection: sqlite3.Connection,
    vectors: NDArray[np.float32] | None = None,
    blocks: NDArray[np.float16] | None = None,
) -> Snapshot:
    """The snapshot of a catalogue.

    Args:
        url: Of the index.
        connection: To the catalogue, with its facts.
        vectors: Of its rows, `float32 [R, D]`; None: nobody asks for them.
        blocks: Likewise, `float16 [R, N, D]`.
    """

    def select(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return connection.execute(sql, parameters).fetchall()

    dim, num_blocks = read_fact(select, "index")["embedding_dim"], read_fact(select, "rows")["num_blocks"]
    ((num_rows,),) = select("SELECT coalesce(max(first_row + num_rows), 0) FROM videos")
    held = np.broadcast_to(np.float32(0), (num_rows, dim)) if vectors is None else vectors
    put_fact(connection, "rows", asdict(RowFacts("", None, num_blocks, num_rows)))
    return Snapshot(Path(url.text), Proven(connection, read_fact(select, "epoch")), held=(held, blocks))


def with_vectors(stored: StoredRows, connection: sqlite3.Connection, *, with_blocks: bool) -> Snapshot:
    """The snapshot of a whole catalogue with all vectors, which are fetched now."""
    whole = _Whole(connection, with_blocks=with_blocks)
    fields = [*CLIP_FIELDS, "blocks"] if whole.blocks is not None else [*CLIP_FIELDS]
    for row in stored.where("clips", "key >= 0", fields):
        whole.take(row)
    whole.settle(connection)
    return as_snapshot(stored.url, connection, whole.vectors, whole.blocks)


class _Whole:
    """The rows of an index as they come in."""

    def __init__(self, connection: sqlite3.Connection, *, with_blocks: bool) -> None:
        facts = dict(connection.execute("SELECT key, value FROM facts WHERE key IN ('index', 'rows')"))
        index = IndexFacts.from_json(json.loads(facts["index"]))
        self._block_dim = index.block_dim
        num_blocks = int(json.loads(facts["rows"])["num_blocks"])
        videos = connection.execute("SELECT video_id, first_row, num_rows FROM videos").fetchall()
        self._rows = {video_id: (first, count) for video_id, first, count in videos}
        total = sum(count for _, _, count in videos)
        self.vectors = _room((total, index.embedding_dim), np.dtype(np.float32))
        self.spans = np.zeros((total, 2))
        self.is_known = np.zeros(total, np.bool_)
        self.have_blocks = np.zeros(total, np.bool_)
        self.blocks: NDArray[np.float16] | None = None
        if with_blocks and num_blocks:
            self.blocks = _room((total, num_blocks, index.block_dim), np.dtype(np.float16))

    def take(self, row: dict[str, Any]) -> None:
        video_id, clip = row["key"] >> 20, row["key"] & 0xFFFFF
        first, count = self._rows.get(video_id, (0, 0))
        if clip >= count:
            return  # of a video that is being added, or was removed
        place = first + clip
        self.vectors[place] = row["vector"]
        self.spans[place] = row["start_seconds"], row["end_seconds"]
        self.is_known[place] = True
        if self.blocks is not None and row["blocks"]:
            self.blocks[place] = blocks_of([row["blocks"]], self._block_dim)[0]
            self.have_blocks[place] = True

    def settle(self, connection: sqlite3.Connection) -> None:
        """Note the times and checksums of all videos; one whose clips are gone meanwhile is gone."""
        connection.execute("BEGIN")
        for video_id, (first, count) in self._rows.items():
            part = slice(first, first + count)
            if not self.is_known[part].all():
                connection.execute("DELETE FROM places WHERE video_id = ?", [video_id])
                connection.execute("DELETE FROM videos WHERE video_id = ?", [video_id])
                continue
            blocks = b""
            if self.blocks is not None and self.have_blocks[part].all():
                blocks = row_checksums(self.blocks[part]).astype("<u8").tobytes()
            sums = row_checksums(self.vectors[part]).astype("<u8").tobytes()
            connection.execute(
                "UPDATE videos SET spans = ?, checksums = ?, block_checksums = ? WHERE video_id = ?",
                [self.spans[part].astype("<f8").tobytes(), sums, blocks, video_id],
            )
        connection.execute("COMMIT")


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros; in a temporary file where they are many."""
    if int(np.prod(shape)) * dtype.itemsize <= _MAX_IN_MEMORY:
        return np.zeros(shape, dtype)
    with TemporaryFile(prefix="cocon-index-") as file:
        return np.memmap(file, dtype, "w+", shape=shape).view(np.ndarray)
