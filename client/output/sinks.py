"""Where rows go: a table for people, JSON, JSON lines, Parquet or NumPy arrays; to standard output or to a file.

A file appears under its name when it is complete; what a stopped command had finished stays beside it in
`NAME.partial`. Work on many videos keeps its rows in a journal of that name instead, see `resumed_job.py`.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol, TextIO

import numpy as np

from cocon.client.output.row_file import row_file
from cocon.client.pipeline.video_embedding import Row
from cocon.core.errors import UsageError
from cocon.core.printable import printable, short_path
from cocon.core.tables import cell, new_table, print_table
from cocon.core.texts.json_text import json_text
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["ARCHIVES", "Format", "Sink", "chosen_format", "file_sink", "open_sink", "print_rows"]

Format = Literal["table", "json", "jsonl", "parquet", "npz"]

# Binary formats of one embedding dimension.
ARCHIVES: tuple[Format, ...] = ("parquet", "npz")

# Numbers of a vector in a table.
_NUM_SHOWN = 3

_BY_SUFFIX: dict[str, Format] = {".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".npz": "npz"}


class Sink(Protocol):
    """Something rows are written to."""

    def write(self, rows: Sequence[Row]) -> None:
        """Take the rows of one video."""
        ...

    def finish(self) -> None:
        """Complete the output."""
        ...


def chosen_format(
    wanted: Format | None, output: Path | None, *, as_json: bool, allowed: Sequence[Format] = ("json", "jsonl")
) -> Format:
    """The format that `--format`, `--json` and the ending of `--output` ask for; a table unless they do.

    Args:
        wanted: `--format`.
        output: `--output`.
        as_json: `--json`.
        allowed: What the command can write besides a table.

    Raises:
        UsageError: They contradict each other, or the command cannot write it.
    """
    if as_json and wanted not in (None, "json"):
        raise UsageError(f"--json and --format {wanted} exclude each other")
    chosen = wanted or ("json" if as_json else None)
    if chosen is None and output is not None and output.suffix not in _BY_SUFFIX:
        raise UsageError(f"--output '{printable(output)}' has no known ending ({', '.join(_BY_SUFFIX)}); give --format")
    if chosen is None:
        chosen = _BY_SUFFIX[output.suffix] if output is not None else "table"
    if chosen == "table" and output is not None:
        raise UsageError("a table is for the terminal; give --format for a file")
    if chosen in ARCHIVES and output is None:
        raise UsageError(f"{chosen} needs --output FILE")
    if chosen not in ("table", *allowed):
        raise UsageError(f"this command cannot write {chosen}; it can write {', '.join(allowed)}")
    return chosen


def print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, title: str | None = None) -> None:
    """Print a table to standard output; off a terminal its lines are as long as they need to be."""
    table = new_table(title=title)
    for column in columns:
        is_number = bool(rows) and all(isinstance(row[column], int | float) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    print_table(table)


@contextmanager
def open_sink(
    chosen: Format, output: Path | None, *, columns: Sequence[str], model: FusedModel | None = None
) -> Iterator[Sink]:
    """Open where rows go.

    Args:
        chosen: Format.
        output: File, or None for standard output.
        columns: What a table shows.
        model: What the vectors come from; needed for the formats of one dimension.

    Yields:
        The sink.

    Raises:
        StorageError: The disk takes no more.
    """
    if output is None:
        sink: Sink = _Table(columns) if chosen == "table" else _text_sink(chosen, sys.stdout)
        yield sink
        sink.finish()
        return
    with row_file(output, is_archive=chosen in ARCHIVES, is_lines=chosen == "jsonl") as stream:
        sink = file_sink(chosen, stream, model)
        try:
            yield sink
        except BaseException:
            with suppress(OSError):  # a full disk takes no end either
                sink.finish()
            raise
        sink.finish()


class _JsonLines:
    """One object per line, as it comes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, rows: Sequence[Row]) -> None:
        self._stream.writelines(f"{json_text(row, self._stream, default=_plain)}\n" for row in rows)
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class _JsonArray:
    """One array at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows: list[str] = []

    def write(self, rows: Sequence[Row]) -> None:
        self._rows += (json_text(row, self._stream, default=_plain) for row in rows)

    def finish(self) -> None:
        self._stream.write("[" + ",\n ".join(self._rows) + "]\n")
        self._stream.flush()


class _Table:
    """A table at the end; failed inputs were told on standard error."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._rows: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        self._rows += (row for row in rows if "error" not in row)

    def finish(self) -> None:
        print_rows(self._columns, self._rows)


def _text_sink(chosen: Format, stream: TextIO) -> Sink:
    return _JsonLines(stream) if chosen == "jsonl" else _JsonArray(stream)


def file_sink(chosen: Format, stream: TextIO, model: FusedModel | None) -> Sink:
    """What writes rows of a format into an open file."""
    if chosen not in ARCHIVES:
        return _text_sink(chosen, stream)
    from cocon.client.index.exchange.columns import INDEX_KEY
    from cocon.client.index.records import IndexFacts
    from cocon.client.output.archives import NpzSink, ParquetSink

    assert model is not None
    if chosen == "npz":
        return NpzSink(stream.buffer, model.embedding_dim, model.fingerprint)
    notes = {INDEX_KEY.decode(): json.dumps(sizes)} if (sizes := IndexFacts.of(model).sizes) else {}
    return ParquetSink(stream.buffer, model.embedding_dim, model.fingerprint, notes=notes)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.3f}"
        case np.ndarray():
            return f"[{', '.join(f'{number:.3f}' for number in value[:_NUM_SHOWN])}, …] ({len(value)})"
        case str():
            return cell(short_path(value))
        case _:
            return str(value)
