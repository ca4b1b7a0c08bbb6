"""The one writer of an index in Milvus.

The records of its catalogue are in memory while it writes: what changes a folder changes them, in SQL, and at the end
of a transaction what has changed goes to Milvus. Nothing there is written together with anything else, so the order
counts: the clips of a video, its record, what is known besides, and last its places, as a video without a place is not
found; what is forgotten goes the other way. Whatever a writer that was killed has left is not found, and the next one
removes it: clips with an id that no record had, videos without a place, and what a row that was written before says.
"""

import json
import secrets
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.collection.catalogue import (
    COLLECTION_SCHEMA,
    Records,
    facts_of,
    filled_catalogue,
    whole_records,
    with_vectors,
)
from cocon.client.collection.expressions import any_of
from cocon.client.collection.lease import WriterLease
from cocon.client.collection.records_kept import KINDS, catalogue_row, check_known, record_key
from cocon.client.collection.stored_rows import MAX_BLOCK_NUMBERS, StoredRows, blocks_text, clip_key
from cocon.client.index.catalogue.places import Description
from cocon.client.index.catalogue.tables import put_fact, read_fact
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.records import IndexFacts, RowFacts
from cocon.client.index.search.copies import sampled_videos
from cocon.client.index.search.means import mean_vector
from cocon.core.errors import MismatchError

__all__ = ["CollectionWriter"]

# What names a record, by table.
_KEYS = {"facts": "key", "videos": "video_id", "places": "path", "failures": "path", "unplaced": "video_id"}
# A record is visible by what is written after it.
_PUT_ORDER = ("videos", "facts", "failures", "unplaced", "places")
_VIDEOS_DROPPED = 1_000
_DROPPING = "state:dropping"
_COLUMNS = {
    "facts": "key, value",
    "places": "path, video_id, label, metadata, file",
    "failures": "*",
    "unplaced": "*",
}
_VIDEO_COLUMNS = """video_id, content_sha256, view, num_frames, truncated, overlap, model, version, fingerprint,
first_row, spans, length(block_checksums) > 0"""
_TRIGGER = """
CREATE TEMP TRIGGER note_{table}_{event} AFTER {event} ON main.{table} BEGIN
    INSERT OR IGNORE INTO changed VALUES ('{table}', {row}.{key});
END;
"""


class CollectionWriter:
    """An index open for writing. A context manager, for one thread; others wait or are refused.

    Args:
        stored: Its rows.
        new: What it is to be made for, and N, when there is none yet.
        wait_s: How long to wait for another writer.

    Attributes:
        facts: What the index is made for.
        row_facts: How many rows there are; files have none.

    Raises:
        UsageError: Somebody else is writing.
        ServerError: Milvus does not answer.
        MismatchError: It is no such index, or a newer version has written it.
    """

    def __init__(self, stored: StoredRows, *, new: tuple[IndexFacts, int] | None = None, wait_s: float = 0.0) -> None:
        self._stored = stored
        self._pending: list[tuple[int, NDArray[np.float32], NDArray[np.float16] | None]] = []
        self._has_changed = False
        is_new = new is not None and not stored.exist
        if new is not None and is_new:
            stored.make(new[0].embedding_dim)
        dim = new[0].embedding_dim if new is not None and is_new else facts_of(stored)["index"]["embedding_dim"]
        with ExitStack() as held:
            self._lease = WriterLease(stored, dim, wait_s=wait_s)
            held.callback(self._lease.release)
            if new is not None and not stored.exist:
                self._begin(*new)
            records = whole_records(stored)
            self._connection = filled_catalogue(records)
            held.callback(self._connection.close)
            self.facts = IndexFacts.from_json(self.fact("index"))
            self._read_rows()
            _note_changes(self._connection)
            self._clean(records)
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._held:
            if kind is None:
                self._keep_spread()

    def fact(self, key: str) -> Any:  # noqa: ANN401  # JSON
        """A named JSON value; None where there is none."""
        return read_fact(self.select, key)

    def put_fact(self, key: str, value: object) -> None:
        """Set a named JSON value within a transaction."""
        put_fact(self._connection, key, value)

    def select(self, sql: str, parameters: list[Any] | tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Ask the catalogue, what the present transaction has done included."""
        return self._connection.execute(sql, parameters).fetchall()

    def snapshot(self) -> Snapshot:
        """What readers see now, all vectors included, which are fetched."""
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.backup(copy)
        return with_vectors(self._stored, copy, with_blocks=True)

    @property
    def connection(self) -> sqlite3.Connection:
        """Of the catalogue, for changes within a `transaction`."""
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All changes inside are made together: readers see a video whole or not at all.

        Raises:
            ServerError: Milvus does not answer; the same command goes on from there.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._lease.renew()
            self._push()
            self._connection.execute("DELETE FROM changed")
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._pending = []
            self._read_rows()

    def check_known(self, path: str, known: Description) -> None:
        """See `CatalogueWriter.check_known`."""
        check_known(path, known)

    def append(self, vectors: NDArray[np.float32], blocks: NDArray[np.float16] | None) -> int:
        """Take rows that go to Milvus when a transaction that follows commits; the number of the first."""
        first_row = self._next_row
        self._pending.append((first_row, vectors, blocks))
        self._next_row += len(vectors)
        return first_row

    def _begin(self, facts: IndexFacts, num_blocks: int) -> None:
        """The facts of an index that has just been made; which of them says that it is one is written last."""
        if num_blocks * facts.block_dim > MAX_BLOCK_NUMBERS:
            num_blocks = 0
        rows = RowFacts("", "blocks" if num_blocks else None, num_blocks, 0)
        named = {"epoch": secrets.token_hex(16), "rows": asdict(rows), "index": facts.to_dict()}
        for key, value in {**named, "collection_schema": COLLECTION_SCHEMA}.items():  # see `MADE_KEY`
            record = [key, json.dumps(value)]
            self._stored.put("catalogue", [catalogue_row("facts", record, np.zeros(facts.embedding_dim, np.float32))])

    def _read_rows(self) -> None:
        ((num_rows,),) = self.select("SELECT coalesce(max(first_row + num_rows), 0) FROM videos")
        num_blocks = self.fact("rows")["num_blocks"]
        self.row_facts = RowFacts("", "blocks" if num_blocks else None, num_blocks, num_rows)
        self._next_row = num_rows

    def _push(self) -> None:
        """Bring what has changed to Milvus."""
        ((newest,),) = self.select("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'videos'")
        if newest > (self.fact("newest_id") or 0):
            put_fact(self._connection, "newest_id", newest)
        changed: dict[str, list[Any]] = {table: [] for table in KINDS}
        for table, key in self.select("SELECT DISTINCT kind, key FROM changed"):
            changed[table].append(key)
        if not any(changed.values()):
            return
        self._has_changed = self._has_changed or bool(changed["videos"])
        self._begin_epoch()  # what readers remember holds no more, also when this is broken off
        gone: dict[str, list[Any]] = {}
        for table in _PUT_ORDER:
            gone[table] = self._put(table, changed[table])
        for table in ("places", "unplaced", "failures", "facts"):
            self._stored.delete("catalogue", [record_key(table, key) for key in gone[table]])
        self._drop_videos(gone["videos"])
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        put_fact(self._connection, "epoch", secrets.token_hex(16))
        self._put("facts", ["epoch"])

    def _put(self, table: str, keys: Sequence[Any]) -> list[Any]:
        """Write the records of a table that are there; returns those that are not."""
        if table == "videos":
            return self._put_videos(keys)
        nothing, gone, rows = np.zeros(self.facts.embedding_dim, np.float32), [], []
        for key in keys:
            found = self.select(f"SELECT {_COLUMNS[table]} FROM {table} WHERE {_KEYS[table]} = ?", [key])
            if found:
                rows.append(catalogue_row(table, found[0], nothing))
            else:
                gone.append(key)
        self._stored.put("catalogue", rows)
        return gone

    def _put_videos(self, video_ids: Sequence[int]) -> list[int]:
        gone, rows, clips = [], [], list[Iterable[dict[str, Any]]]()
        for video_id in video_ids:
            found = self.select(f"SELECT {_VIDEO_COLUMNS} FROM videos WHERE video_id = ?", [video_id])
            if not found:
                gone.append(video_id)
                continue
            *columns, first_row, content, has_blocks = found[0]
            spans = np.frombuffer(content, "<f8").reshape(-1, 2)
            vectors, blocks = self._rows_at(first_row, len(spans))
            clips.append(_clip_rows(video_id, spans, vectors, blocks if has_blocks else None))
            record = [*columns, len(spans), float(spans.min()), float(spans.max()), bool(has_blocks)]
            rows.append(catalogue_row("videos", record, mean_vector(vectors, self.facts.widths)[0]))
        self._stored.put("clips", chain.from_iterable(clips))
        self._stored.put("catalogue", rows)
        return gone

    def _rows_at(self, first_row: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float16] | None]:
        """Rows that were appended."""
        place = bisect_right([first for first, *_ in self._pending], first_row) - 1
        first, vectors, blocks = self._pending[place]
        part = slice(first_row - first, first_row - first + count)
        return vectors[part], None if blocks is None else blocks[part]

    def _drop_videos(self, video_ids: Sequence[int]) -> None:
        """Remove videos that have no place any more, and their clips; what is left when killed is known."""
        for begin in range(0, len(video_ids), _VIDEOS_DROPPED):
            part = video_ids[begin : begin + _VIDEOS_DROPPED]
            row = {"key": _DROPPING, "kind": "state", "video_id": 0, "label": "", "path": "", "terms": {}}
            nothing = np.zeros(self.facts.embedding_dim, np.float32)
            self._stored.put("catalogue", [row | {"record": json.dumps([*part]), "vector": nothing}])
            self._stored.delete("catalogue", [record_key("videos", video_id) for video_id in part])
            self._stored.delete_where("clips", any_of(part))
            self._stored.delete("catalogue", [_DROPPING])

    def _clean(self, records: Records) -> None:
        """Remove what killed writers have left, and let no id be given twice."""
        for row in self._stored.of_keys("catalogue", [_DROPPING], ["record"]):
            self._drop_videos(json.loads(row["record"]))
        ((newest,),) = self.select("SELECT coalesce(max(video_id), 0) FROM videos")
        newest = max(newest, self.fact("newest_id") or 0)
        self._stored.delete_where("clips", f"video_id > {newest}")
        self._drop_superseded(records)
        orphans = [
            video_id
            for (video_id,) in self.select(
                """SELECT video_id FROM videos WHERE video_id NOT IN (SELECT video_id FROM places)
                   AND video_id NOT IN (SELECT video_id FROM unplaced)"""
            )
        ]
        self._drop_videos(orphans)
        self._connection.executemany("DELETE FROM videos WHERE video_id = ?", [(each,) for each in orphans])
        self._connection.execute("DELETE FROM changed")
        self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'videos'")
        self._connection.execute("INSERT INTO sqlite_sequence VALUES ('videos', ?)", [newest])

    def _drop_superseded(self, records: Records) -> None:
        """Of a content that is there twice, see `settled`, only the one that counts stays."""
        kept = {video_id for (video_id,) in self.select("SELECT video_id FROM videos")}
        others = {video[0] for video in records["videos"]} - kept
        self._put("places", [place[0] for place in records["places"] if place[1] in others])
        self._drop_videos(sorted(others))

    def _keep_spread(self) -> None:
        """How far clips of the index lie apart, by which copies are known, see `copies.py`."""
        sql = "SELECT DISTINCT video_id FROM places ORDER BY video_id"
        ids = np.array([video_id for (video_id,) in self.select(sql)], np.int64)
        known = self.fact("spread") or {}
        if not len(ids) or (not self._has_changed and known.get("num_videos") == len(ids)):
            return
        sampled = ids[sampled_videos(len(ids))]
        keys = [clip_key(video_id, 0) for video_id in np.unique(sampled).tolist()]
        found = self._stored.of_keys("clips", keys, ["key", "vector"])
        vectors = {row["key"]: np.array(row["vector"], np.float32) for row in found}
        if len(vectors) < len(keys):
            raise MismatchError(f"index '{self._stored.url}' has lost clips of {len(keys) - len(vectors)} videos")
        stacked = np.stack([vectors[clip_key(video_id, 0)] for video_id in sampled.tolist()])
        mean = stacked.astype(np.float64).sum(axis=0) / len(sampled)
        with self.transaction():
            self.put_fact("spread", {"mean_square": float((mean * mean).sum()), "num_videos": len(ids)})


def _clip_rows(
    video_id: int, spans: NDArray[np.float64], vectors: NDArray[np.float32], blocks: NDArray[np.float16] | None
) -> Iterator[dict[str, Any]]:
    for clip, (start, end) in enumerate(spans.tolist()):
        yield {
            "key": clip_key(video_id, clip),
            "video_id": video_id,
            "clip": clip,
            "start_seconds": start,
            "end_seconds": end,
            "blocks": "" if blocks is None else blocks_text(blocks[clip]),
            "vector": np.ascontiguousarray(vectors[clip], np.float32),
        }


def _note_changes(connection: sqlite3.Connection) -> None:
    """From now on the keys of changed records are in the table `changed`; they are part of each transaction."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TEMP TABLE changed (kind TEXT, key, PRIMARY KEY (kind, key))")
    for table, key in _KEYS.items():
        for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
            connection.executescript(_TRIGGER.format(table=table, event=event, row=row, key=key))
