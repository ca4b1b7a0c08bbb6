"""The records of a catalogue that is made anew from another one."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.schema import PLACE_COLUMNS, VIDEO_COLUMNS
from cocon.client.index.catalogue.tables import insert_record, new_tables, put_fact
from cocon.client.index.records import RowFacts
from cocon.client.index.upkeep.catalogue_read import CatalogueRead
from cocon.client.index.upkeep.records_read import TableRead

__all__ = ["write_records"]

# What a new catalogue says for itself, and what names rows.
_OWN_FACTS = frozenset({"schema", "epoch", "previous_epoch", "index", "rows", "lists"})
_FIRST_ROW, _BLOCKS = VIDEO_COLUMNS.index("first_row"), VIDEO_COLUMNS.index("block_checksums")


def write_records(
    new: sqlite3.Connection,
    old: sqlite3.Connection,
    folder: Path,
    read: CatalogueRead,
    rows: RowFacts,
    kept: NDArray[np.int64],
    *,
    epochs: tuple[str, str],
) -> None:
    """Fill an empty catalogue.

    Args:
        new: The empty one.
        old: The other.
        folder: Of the index.
        read: What was read of the other.
        rows: Where the rows are: those of the videos kept, one after the other.
        kept: Ids of the videos to keep, rising; so are their places, and all facts.
        epochs: Of the commit before, and of this one.
    """
    before, epoch = epochs
    new_tables(new, read.index, rows, epoch)
    new.execute("BEGIN")
    put_fact(new, "previous_epoch", before)
    for key, value in read.facts.items():
        if key not in _OWN_FACTS:
            put_fact(new, key, value)
    table = read.videos.table
    counts = table.num_rows[table.positions_of(kept)]
    first_rows = dict(zip(kept.tolist(), (np.cumsum(counts) - counts).tolist(), strict=True))
    for values in TableRead(old, folder, "videos", VIDEO_COLUMNS, lambda bad: None):
        if values[0] in first_rows:
            values[_FIRST_ROW] = first_rows[values[0]]
            if rows.blocks is None:
                values[_BLOCKS] = b""
            insert_record(new, "videos", values)
    for values in TableRead(old, folder, "places", PLACE_COLUMNS, lambda bad: None):
        if values[1] in first_rows:
            insert_record(new, "places", values)
    _copy_failures(new, old)
    _go_on_counting(new, old, int(table.video_ids.max(initial=0)))
    new.execute("COMMIT")


def _copy_failures(new: sqlite3.Connection, old: sqlite3.Connection) -> None:
    """They have no checksums: a wrong one costs no more than trying the file again."""
    try:
        for values in old.execute("SELECT * FROM failures"):
            new.execute(f"INSERT OR IGNORE INTO failures VALUES ({', '.join('?' * len(values))})", values)
    except (sqlite3.Error, UnicodeError):
        new.execute("DELETE FROM failures")


def _go_on_counting(new: sqlite3.Connection, old: sqlite3.Connection, last_id: int) -> None:
    """No id is given twice, also where the last one is not kept."""
    with suppress(sqlite3.Error, TypeError):  # the records must do
        last_id = max(last_id, *(seq for (seq,) in old.execute("SELECT seq FROM sqlite_sequence WHERE seq > 0")), 0)
    new.execute("DELETE FROM sqlite_sequence WHERE name = 'videos'")
    new.execute("INSERT INTO sqlite_sequence VALUES ('videos', ?)", [last_id])
