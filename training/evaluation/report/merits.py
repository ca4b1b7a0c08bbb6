"""The tables of a report: all figures of every method and view, what the run gains, how ensembles weigh the views."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cocon.training.evaluation.recognition.differences import Difference
from cocon.training.evaluation.recognition.metrics import LEARNED, shown_figures
from cocon.training.evaluation.report.bars import ShownMethod

__all__ = ["GainRow", "MeritRow", "MeritTable", "WeightRow", "gain_rows", "merit_tables", "weight_rows"]

_RETRIEVAL = "R@"
_FEW_SHOT = "_per_class"


@dataclass(frozen=True, slots=True)
class MeritRow:
    """One view of a method.

    Attributes:
        view: name of the view, or of their fusion.
        figures: column → per cent, rounded as it is shown; None where it was not measured.
        best: columns in which no row of any method has more.
    """

    view: str
    figures: Mapping[str, float | None]
    best: frozenset[str]


@dataclass(frozen=True, slots=True)
class MeritTable:
    """Figures of one kind.

    Attributes:
        title: which kind.
        columns: names of the figures.
        chance: column → what guessing gives, in per cent; None where nobody knows.
        methods: every method and its rows.
    """

    title: str
    columns: tuple[str, ...]
    chance: Mapping[str, float | None]
    methods: tuple[tuple[ShownMethod, tuple[MeritRow, ...]], ...]


@dataclass(frozen=True, slots=True)
class GainRow:
    """What the run gains over another method on the same videos.

    Attributes:
        method: the other.
        gains: figure → the difference.
    """

    method: ShownMethod
    gains: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class WeightRow:
    """How much the views count in the ensemble that has learned it.

    Attributes:
        method: whose.
        purpose: `probe`, `retrieval`, …: which of its figures.
        weights: view → weight.
        shares: view → the same in per cent of their sum.
    """

    method: ShownMethod
    purpose: str
    weights: Mapping[str, float]
    shares: Mapping[str, float]


def merit_tables(methods: Sequence[ShownMethod]) -> list[MeritTable]:
    """All figures in two tables, each narrow enough for a page: classes named, and videos found."""
    rows = [row for method in methods for row in method.result.metrics]
    names = list(dict.fromkeys(name for row in rows for name in shown_figures(row)))
    found = [name for name in names if _RETRIEVAL in name]
    named = sorted((name for name in names if name not in found), key=lambda name: name.endswith(_FEW_SHOT))
    tables = [("Classes named right", named), ("Videos of the same class found", found)]
    return [_merit_table(title, columns, methods) for title, columns in tables if columns]


def gain_rows(differences: Sequence[Difference], methods: Sequence[ShownMethod], view: str) -> list[GainRow]:
    """A row for every method that one row of the run can be compared with, in the order of the page.

    Args:
        differences: of the run and all others.
        methods: of the page.
        view: name of the run's row.
    """
    rows = []
    for method in methods:
        of_method = [one for one in differences if one.view == view and one.method == method.result.method]
        if of_method:
            rows.append(GainRow(method, {one.figure: one for one in of_method}))
    return rows


def weight_rows(methods: Sequence[ShownMethod]) -> list[WeightRow]:
    """A row for every method that has learned weights, and for everything that it weighs anew."""
    found = []
    for method in methods:
        for row in (row for row in method.result.metrics if row.view == LEARNED):
            by_purpose: dict[str, dict[str, float]] = {}
            for name, weight in row.weights.items():
                purpose, _, view = name.rpartition("_")
                by_purpose.setdefault(purpose.replace("_", " "), {})[view] = weight
            for purpose, weights in by_purpose.items():
                total = sum(weights.values()) or 1.0
                shares = {view: 100 * weight / total for view, weight in weights.items()}
                found.append(WeightRow(method, purpose, weights, shares))
    return found


def _merit_table(title: str, columns: Sequence[str], methods: Sequence[ShownMethod]) -> MeritTable:
    figures = [[_rounded(shown_figures(row), columns) for row in method.result.metrics] for method in methods]
    every = [row for rows in figures for row in rows]
    best = {name: max((value for row in every if (value := row[name]) is not None), default=None) for name in columns}
    of_methods = [
        (
            method,
            tuple(_merit_row(row.view, shown, best) for row, shown in zip(method.result.metrics, rows, strict=True)),
        )
        for method, rows in zip(methods, figures, strict=True)
    ]
    chances = [row.chance for method in methods for row in method.result.metrics]
    chance = {name: next((one[name] for one in chances if name in one), None) for name in columns}
    return MeritTable(title, tuple(columns), chance, tuple(of_methods))


def _merit_row(view: str, figures: Mapping[str, float | None], best: Mapping[str, float | None]) -> MeritRow:
    reached = frozenset(name for name, value in figures.items() if value is not None and value == best[name])
    return MeritRow(view, figures, reached)


def _rounded(figures: Mapping[str, float], columns: Sequence[str]) -> dict[str, float | None]:
    """As they are shown: what looks equal is equal, and NaN is nothing."""
    known = {name: figures.get(name, math.nan) for name in columns}
    return {name: round(value, 1) if math.isfinite(value) else None for name, value in known.items()}
