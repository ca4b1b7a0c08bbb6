"""Rows for people."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

__all__ = ["print_rows"]

_WIDE = 10_000
_NUM_SHOWN = 3


def print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, title: str | None = None) -> None:
    """Print a table to standard output; off a terminal its lines are as long as they need to be."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        is_number = bool(rows) and all(isinstance(row[column], int | float) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    console.print(table)


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.3f}"
        case np.ndarray():
            return f"[{', '.join(f'{number:.3f}' for number in value[:_NUM_SHOWN])}, …] ({len(value)})"
        case str():
            return _short_path(value)
        case _:
            return str(value)


def _short_path(text: str) -> str:
    """A path below the working directory without it."""
    folder = f"{Path.cwd()}{os.sep}"
    # Square brackets in file names are no markup.
    return text.removeprefix(folder).replace("[", r"\[")
