"""Tables that people bring as CSV: a header, and rows with their line numbers."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import in_one_line, printable
from cocon.core.texts.text_files import decode_text

__all__ = ["CsvRow", "csv_columns", "csv_rows"]

CsvRow = dict[str, str]
"""Column → field; empty where the row ends before."""


def csv_rows(path: Path, *needed: str) -> Iterator[tuple[int, CsvRow]]:
    """Each row with the number of its line.

    Args:
        path: the file.
        needed: columns that it must have.

    Raises:
        OSError: it is not there or cannot be read.
        UsageError: it is in another encoding, lacks a column or has one twice, or a row has more fields than the header
            or a quote without end; names the line.
    """
    rows = _records(path)
    columns = _header(rows)
    _check_columns(printable(path), columns, needed)
    for line, row in rows:
        if len(row) > len(columns):
            raise UsageError(
                f"'{printable(path)}' line {line} has {len(row)} fields, the header {len(columns)} columns; put a "
                'field that has a comma in quotes: "a, b.mp4"'
            )
        if row:
            yield line, dict(zip(columns, row + [""] * (len(columns) - len(row)), strict=True))


def csv_columns(path: Path) -> list[str]:
    """The header; raises like `csv_rows`."""
    return _header(_records(path))


def _header(rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    _, columns = next(rows, (1, list[str]()))
    return [column.strip() for column in columns]


def _check_columns(shown: str, columns: list[str], needed: tuple[str, ...]) -> None:
    for column in needed:
        if column not in columns:
            raise UsageError(f"'{shown}' has no column '{column}'; its columns: {', '.join(map(printable, columns))}")
    for column in columns:
        if column and columns.count(column) > 1:
            raise UsageError(f"'{shown}' has the column '{printable(column)}' twice; rename or remove one")


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each record, blank ones too, and the line on which it begins."""
    text = decode_text(path.read_bytes(), f"'{printable(path)}'")
    reader, line = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for record in reader:
            yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        problem = f"'{printable(path)}' line {line} cannot be read as text with commas"
        raise UsageError(f"{problem}: {in_one_line(error)}") from error
