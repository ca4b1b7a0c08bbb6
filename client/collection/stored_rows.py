"""The two collections of an index in Milvus: a row per clip, and a row per record of its catalogue.

NAME            key (video_id · 2^20 + clip) · video_id · clip · start_seconds · end_seconds · vector · blocks
NAME_catalogue  key · kind · video_id · label · path · terms · record · vector

`record` is a record of the catalogue as JSON, see `records_kept.py`; `label`, `path` and `terms` are there for filters
alone, see `expressions.py`, and hold nothing but hexadecimal digits and numbers. The vector of a video is the mean of
its clips.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cocon.client.collection.connecting import TIMEOUT_S, answering, connected, disconnect
from cocon.client.collection.urls import CollectionUrl
from cocon.core.errors import UsageError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

__all__ = [
    "MADE_KEY",
    "MAX_BLOCK_NUMBERS",
    "MAX_TEXT",
    "StoredRows",
    "Which",
    "blocks_of",
    "blocks_text",
    "clip_key",
    "clips_of_keys",
]

Which = Literal["clips", "catalogue"]

MADE_KEY = "fact:collection_schema"
"""Of the record that is written last when an index is made."""

MAX_TEXT = 65_535
"""Bytes of a text in Milvus."""
MAX_BLOCK_NUMBERS = MAX_TEXT * 3 // 4 // 2
"""Numbers of the blocks of a clip that fit into a text, each of two bytes, in Base64."""

_CLIP_BITS = 20
# Rows that are asked for, or written, at once: messages stay far below the 64 MiB that a server takes.
_ROWS_ASKED = {"clips": 2_000, "catalogue": 5_000}
_KEYS_ASKED, _BYTES_WRITTEN, _ROWS_WRITTEN = 2_000, 8 << 20, 5_000
_VECTORS_ASKED = 64


class StoredRows:
    """The collections of one index. Nothing is opened until it is used; safe for several threads.

    Args:
        url: Of the index.
    """

    max_hits = 16_384
    """Most that Milvus gives for one vector."""

    def __init__(self, url: CollectionUrl) -> None:
        self.url = url
        self._names = {"clips": url.name, "catalogue": f"{url.name}_catalogue"}

    def close(self) -> None:
        """Close the connection of this process to the server or the file; it is opened again when it is used."""
        self.__dict__.pop("_client", None)
        disconnect(self.url)

    @property
    def exist(self) -> bool:
        """Whether they have been made, to the end."""
        if self.url.file is not None and not self.url.file.exists():
            return False
        are_there = all(self._is_there(which) for which in ("catalogue", "clips"))
        return are_there and bool(self.of_keys("catalogue", [MADE_KEY], ["key"]))

    def make(self, embedding_dim: int) -> None:
        """Make them, or what is missing of them; who puts the record with `MADE_KEY` there says that there is an index.

        Raises:
            UsageError: Another collection has the name.
        """
        from pymilvus import DataType

        if self._is_there("clips") and not self._is_there("catalogue"):
            raise UsageError(
                f"index '{self.url}': Milvus has another collection of that name; name the index otherwise"
            )
        text = {"datatype": DataType.VARCHAR, "max_length": MAX_TEXT}
        clips = {
            "key": {"datatype": DataType.INT64, "is_primary": True},
            "video_id": {"datatype": DataType.INT64},
            "clip": {"datatype": DataType.INT64},
            "start_seconds": {"datatype": DataType.DOUBLE},
            "end_seconds": {"datatype": DataType.DOUBLE},
            "blocks": text,
        }
        catalogue = {
            "key": {"datatype": DataType.VARCHAR, "max_length": 128, "is_primary": True},
            "kind": {"datatype": DataType.VARCHAR, "max_length": 16},
            "video_id": {"datatype": DataType.INT64},
            "label": {"datatype": DataType.VARCHAR, "max_length": 64},
            "path": text,
            "terms": {"datatype": DataType.JSON},
            "record": text,
        }
        for which, fields in (("catalogue", catalogue), ("clips", clips)):  # in an order by which ours are known
            if not self._is_there(which):
                self._make(self._names[which], fields, embedding_dim)

    def drop(self) -> None:
        """Remove them, whatever they hold."""
        with answering(self.url):
            for which in ("catalogue", "clips"):
                connected(self.url).drop_collection(self._names[which], timeout=TIMEOUT_S)

    def put(self, which: Which, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows, each in the place of the one with its key."""
        for part in _parts(rows):
            with answering(self.url):
                self._client.upsert(self._names[which], part, timeout=TIMEOUT_S)

    def delete(self, which: Which, keys: Sequence[Any]) -> None:
        """Remove rows; those that are not there are none."""
        for begin in range(0, len(keys), _KEYS_ASKED):
            with answering(self.url):
                self._client.delete(self._names[which], ids=list(keys[begin : begin + _KEYS_ASKED]), timeout=TIMEOUT_S)

    def delete_where(self, which: Which, expression: str) -> None:
        """Remove the rows that an expression means."""
        with answering(self.url):
            self._client.delete(self._names[which], filter=expression, timeout=TIMEOUT_S)

    def of_keys(self, which: Which, keys: Sequence[Any], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Rows by key, in any order; without those that are not there."""
        found: list[dict[str, Any]] = []
        for begin in range(0, len(keys), _KEYS_ASKED):
            with answering(self.url):
                found += self._client.get(
                    self._names[which],
                    ids=list(keys[begin : begin + _KEYS_ASKED]),
                    output_fields=list(fields),
                    timeout=TIMEOUT_S,
                )
        return found

    def where(self, which: Which, expression: str, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Rows that an expression means, by key."""
        with answering(self.url):
            found = self._client.query_iterator(
                self._names[which],
                batch_size=_ROWS_ASKED[which],
                filter=expression,
                output_fields=list(fields),
                timeout=TIMEOUT_S,
            )
            try:
                while part := found.next():
                    yield from part
            finally:
                found.close()

    def nearest(self, which: Which, vectors: NDArray[np.float32], expression: str, limit: int) -> list[list[Any]]:
        """The keys with the largest products with vectors `float32 [C, D]`: for each `(key, product)`s, best first."""
        found: list[list[Any]] = []
        for begin in range(0, len(vectors), _VECTORS_ASKED):
            with answering(self.url):
                answers = self._client.search(
                    self._names[which],
                    data=list(vectors[begin : begin + _VECTORS_ASKED]),
                    anns_field="vector",
                    filter=expression,
                    limit=limit,
                    output_fields=["key"],
                    search_params={"metric_type": "IP"},
                    timeout=TIMEOUT_S,
                )
            found += [[(hit["key"], hit["distance"]) for hit in answer] for answer in answers]
        return found

    @cached_property
    def _client(self) -> "MilvusClient":
        client = connected(self.url)
        for name in self._names.values():
            if "Loaded" not in str(client.get_load_state(name, timeout=TIMEOUT_S)):
                client.load_collection(name, timeout=TIMEOUT_S)
        return client

    def _is_there(self, which: str) -> bool:
        with answering(self.url):
            return bool(connected(self.url).has_collection(self._names[which], timeout=TIMEOUT_S))

    def _make(self, name: str, fields: dict[str, dict[str, Any]], embedding_dim: int) -> None:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        for field, kind in fields.items():
            schema.add_field(field, **kind)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=embedding_dim)
        lookups = MilvusClient.prepare_index_params()
        lookups.add_index("vector", index_type="FLAT", metric_type="IP")
        lookups.add_index("video_id", index_type="INVERTED")
        with answering(self.url):
            connected(self.url).create_collection(
                name, schema=schema, index_params=lookups, consistency_level="Strong", timeout=TIMEOUT_S
            )


def clip_key(video_id: int, clip: int) -> int:
    """The key of a clip: those of a video follow one another."""
    return (video_id << _CLIP_BITS) + clip


def clips_of_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Video and number of clips by their keys `int64 [n]`."""
    return keys >> _CLIP_BITS, keys & ((1 << _CLIP_BITS) - 1)


def blocks_text(blocks: NDArray[np.float16] | None) -> str:
    """The blocks of a clip, `float16 [N, D]`, as text; empty where they are not known."""
    return "" if blocks is None else base64.b64encode(np.ascontiguousarray(blocks, "<f2").tobytes()).decode()


def blocks_of(texts: Sequence[str], block_dim: int) -> NDArray[np.float16]:
    """Blocks `float16 [n, N, D]` of texts that are all known."""
    content = b"".join(map(base64.b64decode, texts))
    return np.frombuffer(content, "<f2").reshape(len(texts), -1, block_dim)


def _parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows by messages."""
    waiting = iter(rows)
    while part := [*islice(waiting, 1)]:
        size = row_bytes = _size(part[0])
        while size < _BYTES_WRITTEN and len(part) < _ROWS_WRITTEN and (row := next(waiting, None)) is not None:
            part.append(row)
            size += max(row_bytes, _size(row))
        yield part


def _size(row: dict[str, Any]) -> int:
    return sum(
        value.nbytes if isinstance(value, np.ndarray) else len(value) if isinstance(value, str) else 8
        for value in row.values()
    )
