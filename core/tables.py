"""Tables for people."""

import sys

from rich import box
from rich.console import Console
from rich.table import Column, Table

__all__ = ["new_table", "print_table"]

# What reads a pipe does not fold lines.
_PIPE_WIDTH = 10_000


def new_table(*columns: Column | str, title: str | None = None, is_dense: bool = False) -> Table:
    """A table without frame, a line below its headers; dense, with one blank between columns."""
    padding = (0, 1, 0, 0) if is_dense else (0, 1)
    return Table(*columns, box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=padding)


def print_table(table: Table) -> None:
    """Print to standard output; off a terminal lines are as long as they need to be."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(file=sys.stdout, width=width, highlight=False).print(table)
