"""Who made the views of an index's videos; one of before does not say, and is not asked."""

import json
import sqlite3
from collections.abc import Mapping

__all__ = ["note_makers", "read_makers"]


def read_makers(connection: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """View → who made those of the videos, sorted; without the views of which nobody is known."""
    row = connection.execute("SELECT value FROM facts WHERE key = 'made_by'").fetchone()
    return {view: tuple(names) for view, names in json.loads(row[0]).items()} if row else {}


def note_makers(connection: sqlite3.Connection, made_by: Mapping[str, str]) -> None:
    """Add those of one more video, in the transaction that stores it."""
    if made_by:
        known = read_makers(connection)
        known |= {view: tuple(sorted({*known.get(view, ()), maker})) for view, maker in made_by.items()}
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('made_by', ?)", [json.dumps(known)])
