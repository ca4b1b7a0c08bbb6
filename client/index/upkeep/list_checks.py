"""Whether the file of lists of an index is what was written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cocon.client.index.files.checksums import stream_checksum
from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.upkeep.findings import Finding
from cocon.core.errors import MismatchError
from cocon.core.printable import in_one_line

__all__ = ["list_findings"]

_REMEDY = "every vector is compared until 'client index compact' makes it anew"


def list_findings(folder: Path, facts: Mapping[str, Any], total_rows: int) -> list[Finding]:
    """Look at every byte of it.

    Args:
        folder: Of the index.
        facts: Named values of the catalogue.
        total_rows: R of the index.
    """
    content = facts.get("lists")
    if content is None:
        return []
    try:
        record = ListsRecord.from_json(content)
    except (MismatchError, TypeError) as error:
        return [Finding("catalog.sqlite", in_one_line(error))]
    if record.file is None:
        return []
    try:
        with (folder / record.file).open("rb", buffering=0) as stream:
            is_right = stream_checksum(stream) == record.checksum
    except FileNotFoundError:
        return [Finding(record.file, f"is missing; {_REMEDY}")]
    except OSError as error:
        return [Finding(record.file, f"cannot be read: {error.strerror}; {_REMEDY}")]
    if not is_right:
        return [Finding(record.file, f"is damaged; {_REMEDY}")]
    if record.covered_rows > total_rows:
        return [Finding(record.file, f"has rows that the index has not; {_REMEDY}")]
    return []
