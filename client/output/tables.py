"""Rows for people."""

from collections.abc import Mapping, Sequence

import numpy as np

from cocon.core.printable import short_path

__all__ = ["print_rows"]

_NUM_SHOWN = 3


def print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, title: str | None = None) -> None:
    """Print a table to standard output; off a terminal its lines are as long as they need to be."""
    from cocon.core.tables import new_table, print_table

    table = new_table(title=title)
    for column in columns:
        is_number = bool(rows) and all(isinstance(row[column], int | float) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    print_table(table)


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.3f}"
        case np.ndarray():
            return f"[{', '.join(f'{number:.3f}' for number in value[:_NUM_SHOWN])}, …] ({len(value)})"
        case str():
            # Square brackets in file names are no markup.
            return short_path(value).replace("[", r"\[")
        case _:
            return str(value)
