"""Records of a catalogue as rows of Milvus, and back.

The catalogue of an index is a database in memory with the tables of every index (`catalogue/schema.py`). In a folder a
video says where in a file its clips lie; here they are known by its id.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.collection.expressions import label_of, path_of, terms_of
from cocon.client.collection.stored_rows import MAX_TEXT
from cocon.client.index.catalogue.places import Description
from cocon.client.index.catalogue.schema import SQL
from cocon.core.errors import TooLargeError, UsageError
from cocon.core.printable import escaped, printable

__all__ = [
    "KINDS",
    "VIDEO_FIELDS",
    "catalogue_row",
    "check_known",
    "new_catalogue",
    "record_key",
    "take_records",
    "take_video",
]

KINDS = {"facts": "fact", "videos": "video", "places": "place", "failures": "failure", "unplaced": "unplaced"}
"""Table → kind of its rows."""

VIDEO_FIELDS = (
    "video_id", "content_sha256", "view", "num_frames", "truncated", "overlap", "model", "version", "fingerprint",
    "num_rows", "begin_seconds", "end_seconds", "has_blocks",
)  # fmt: skip
"""What the record of a video holds."""

# What else stands in the row of a video, or in that of its failure, is short.
_MAX_KNOWN = MAX_TEXT - 4096
_NO_SUM = 0  # of records in memory, which nothing has had the time to damage


def new_catalogue() -> sqlite3.Connection:
    """An empty catalogue in memory, for any thread."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(SQL)
    return connection


def record_key(table: str, key: object) -> str:
    """The key of a record: of a path its digest, as paths may be longer than keys."""
    kind = KINDS[table]
    return f"{kind}:{hashlib.sha256(str(key).encode()).hexdigest() if table in ('places', 'failures') else key}"


def catalogue_row(table: str, record: Sequence[Any], vector: NDArray[np.float32]) -> dict[str, Any]:
    """The row of a record.

    Args:
        table: Of it.
        record: Its columns; of a video `VIDEO_FIELDS`.
        vector: The mean of a video, anything of others: `float32 [D]`.

    Raises:
        UsageError: It is longer than Milvus takes.
    """
    text = json.dumps([*record])
    if len(text) > MAX_TEXT:
        raise UsageError(
            f"what is known of '{printable(str(record[0]))[:80]}' has {len(text)} letters; Milvus keeps at most "
            f"{MAX_TEXT}; give it less metadata"
        )
    row: dict[str, Any] = {
        "key": record_key(table, record[0]),
        "kind": KINDS[table],
        "video_id": record[1] if table == "places" else record[0] if table in ("videos", "unplaced") else 0,
        "label": "",
        "path": "",
        "terms": {},
        "record": text,
        "vector": vector,
    }
    if table == "places":
        row |= {"label": label_of(record[2]), "path": path_of(record[0]), "terms": terms_of(json.loads(record[3]))}
    return row


def check_known(path: str, known: Description) -> None:
    """Raise `TooLargeError` where Milvus does not keep as much as is known of a video."""
    size = len(json.dumps([escaped(path), known.label, dict(known.metadata)]))
    terms = len(json.dumps(terms_of(known.metadata)))
    if max(size, terms) > _MAX_KNOWN:
        raise TooLargeError(
            f"what is known of video '{printable(path)}' has {max(size, terms):,} letters, Milvus keeps at most "
            f"{_MAX_KNOWN:,}; give it less metadata"
        )


def take_records(connection: sqlite3.Connection, table: str, records: Iterable[Sequence[Any]]) -> None:
    """Put records that are whole into a table of a catalogue: any but videos."""
    has_sum = table in ("facts", "places")
    filled = [[*record, _NO_SUM] if has_sum else [*record] for record in records]
    if filled:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(filled[0]))})", filled)


def take_video(
    connection: sqlite3.Connection,
    record: Sequence[Any],
    first_row: int,
    spans: NDArray[np.float64] | None = None,
    sums: tuple[NDArray[np.uint64], NDArray[np.uint64] | None] | None = None,
) -> int:
    """Put a video into a catalogue.

    Args:
        connection: Of the catalogue.
        record: `VIDEO_FIELDS`.
        first_row: Of its rows.
        spans: Of these, `float64 [K, 2]`; None where there are none yet, and the span of the whole stands for them.
        sums: Checksums of their vectors and blocks.

    Returns:
        One past its last row.
    """
    *columns, num_rows, begin, end, _ = record
    if spans is not None:
        num_rows = len(spans)
    held = np.array([[begin, end]]) if spans is None else spans
    vectors, blocks = sums or (np.zeros(0, np.uint64), None)
    contents = [held.astype("<f8").tobytes(), vectors.tobytes(), b"" if blocks is None else blocks.tobytes()]
    values = [*columns, first_row, num_rows, *contents, _NO_SUM]
    connection.execute(f"INSERT INTO videos VALUES ({', '.join('?' * len(values))})", values)
    return first_row + int(num_rows)
