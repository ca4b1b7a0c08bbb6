"""Files that could not be embedded, as an index remembers them, for its writer."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cocon.client.index.catalogue.places import Description
from cocon.client.index.catalogue.schema import Select
from cocon.client.index.files.writing import CatalogueWriter
from cocon.client.index.records import FailedFile
from cocon.core.printable import escaped, unescaped

__all__ = ["FailedFiles", "failed_files"]

_COLUMNS = "content_sha256, tried, class, message"


class FailedFiles:
    """The failures of an index that is open for writing, one per path. Changes are the caller's transaction's.

    Args:
        writer: Of the index.
        tried: Options that decide whether a file fails, as plain JSON.
    """

    def __init__(self, writer: CatalogueWriter, tried: Mapping[str, Any] | None = None) -> None:
        self._writer = writer
        self._tried = dict(tried or {})

    def of(self, path: str) -> FailedFile | None:
        """What is remembered of a path, if the same was tried there."""
        found = self._writer.select(f"SELECT {_COLUMNS} FROM failures WHERE path = ?", [escaped(path)])
        if not found or json.loads(found[0][1]) != self._tried:
            return None
        sha256, _, kind, message = found[0]
        return FailedFile(path, sha256, kind, message)

    def is_known(self, path: str) -> bool:
        """Whether any failure is remembered of a path."""
        return bool(self._writer.select("SELECT 1 FROM failures WHERE path = ?", [escaped(path)]))

    def note(self, failure: FailedFile, known: Description | None = None) -> None:
        """Remember a failure, in the place of what was remembered of the path.

        Args:
            failure: What to remember.
            known: Of the video that was there until now; what was known of an earlier one stays.
        """
        path = escaped(failure.path)
        if known is not None:
            described = (known.label, json.dumps(dict(known.metadata)))
        else:
            found = self._writer.select("SELECT label, metadata FROM failures WHERE path = ?", [path])
            described = found[0] if found else (None, None)
        record = [path, failure.content_sha256, json.dumps(self._tried), failure.kind, failure.message, *described]
        self._writer.connection.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?)", record)

    def forget(self, paths: Iterable[str]) -> None:
        """They are none any more."""
        written = [(escaped(path),) for path in paths]
        self._writer.connection.executemany("DELETE FROM failures WHERE path = ?", written)


def failed_files(select: Select) -> list[FailedFile]:
    """All failures of an index, by path.

    Args:
        select: Asks the catalogue.
    """
    rows = select("SELECT path, content_sha256, class, message FROM failures ORDER BY path", [])
    return [FailedFile(unescaped(path), *columns) for path, *columns in rows]
