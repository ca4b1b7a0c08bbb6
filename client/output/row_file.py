"""The file that rows are written to: there when it is complete, or written through as they come."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from cocon.core.atomic import beside, is_stream, place_of, replacing, written_through
from cocon.core.storage import cause_of_storage, storing

__all__ = ["row_file"]

_logger = logging.getLogger(__name__)


@contextmanager
def row_file(output: Path, *, is_archive: bool, is_lines: bool) -> Iterator[TextIO]:
    """Open where rows go.

    Args:
        output: The file. A device, a FIFO or an open descriptor gets rows as they come, an archive when it is whole.
        is_archive: Whether only a whole file can be read.
        is_lines: Whether every line can be read by itself.

    Yields:
        UTF-8. What a stopped command has written is kept in `NAME.partial`; on a full disk, as far as it can be read.

    Raises:
        StorageError: The disk takes no more.
    """
    with storing(output):
        if not is_stream(output):
            with _beside(place_of(output), is_lines=is_lines) as stream:
                yield stream
        elif is_archive:
            with replacing(output) as whole, whole.open("w", encoding="utf-8") as stream:
                yield stream
        else:
            with written_through(output) as through, TextIOWrapper(through, encoding="utf-8") as stream:
                yield stream


@contextmanager
def _beside(place: Path, *, is_lines: bool) -> Iterator[TextIO]:
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(place, ".partial")
    partial.unlink(missing_ok=True)  # or else it might be a link
    try:
        with partial.open("x", encoding="utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException as error:
        if cause_of_storage(error) is not None and is_lines:
            _cut(partial)
        elif cause_of_storage(error) is not None:
            partial.unlink()
        if partial.exists():
            _logger.warning("the rows finished so far are in '%s'", partial)
        raise
    partial.replace(place)


def _cut(path: Path) -> None:
    """Cut a file of lines after the last one that is complete."""
    with path.open("rb+") as stream:
        stream.truncate(stream.read().rfind(b"\n") + 1)
