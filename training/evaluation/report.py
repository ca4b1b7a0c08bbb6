"""Tables of merit for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cocon.training.evaluation.judging import Merit

__all__ = ["merit_table"]


def merit_table(merits: Sequence[Merit]) -> None:
    """Print one row per method and view, all figures in per cent."""
    table = Table(title="test videos, per cent")
    for name in ("method", "view"):
        table.add_column(name)
    figures = [name for name in merits[0].to_dict() if name not in ("method", "view")]
    for name in figures:
        table.add_column(name.replace("probe_top1", "probe top-1"), justify="right")
    previous = merits[0].method
    for merit in merits:
        if merit.method != previous:
            table.add_section()
            previous = merit.method
        row = merit.to_dict()
        table.add_row(merit.method, merit.view, *(f"{row[name]:.1f}" for name in figures))
    Console().print(table)
