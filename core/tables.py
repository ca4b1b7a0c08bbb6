"""Tables for people."""

import re
import sys
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Column, Table

from cocon.core.printable import printable

__all__ = ["cell", "new_table", "plain_console", "print_table"]

_EDGE_BLANK = re.compile("^ | $")

# What reads a pipe does not fold lines.
_PIPE_WIDTH = 10_000


def new_table(*columns: Column | str, title: str | None = None, is_dense: bool = False) -> Table:
    """A table without frame, a line below its headers; dense, with one blank between columns."""
    padding = (0, 1, 0, 0) if is_dense else (0, 1)
    return Table(*columns, box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=padding)


def cell(text: object) -> str:
    r"""A cell of a table: what can be printed, and a blank at an end, which nobody would see, as `\x20`."""
    return _EDGE_BLANK.sub(r"\\x20", printable(text))


def print_table(table: Table) -> None:
    """Print to standard output; off a terminal lines are as long as they need to be."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    plain_console(file=sys.stdout, width=width).print(table)


def plain_console(*, file: TextIO | None = None, width: int | None = None) -> Console:
    """A console that prints words as they are: neither `[bold]` nor `:smile:` in a name is an order.

    Args:
        file: Standard error unless given.
        width: In characters; the terminal's unless given.
    """
    return Console(file=file, stderr=file is None, width=width, highlight=False, markup=False, emoji=False)
