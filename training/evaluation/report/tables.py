"""Tables for people, and the confusion matrix for other programs."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from rich.table import Table

from cocon.core.atomic import replacing
from cocon.core.printable import printable
from cocon.core.tables import new_table, print_table
from cocon.training.evaluation.recognition.differences import Difference
from cocon.training.evaluation.recognition.metrics import (
    FUSED,
    NEIGHBOURS,
    ViewMetrics,
    column_title,
    shown_figures,
)
from cocon.training.evaluation.recognition.result import EvaluationResult, Recognition

__all__ = [
    "class_table",
    "difference_table",
    "figure_table",
    "figures_json",
    "metric_table",
    "metrics_json",
    "write_confusion",
]

# A terminal has no room for them beside their errors.
_FOR_WIDER_PAGES = frozenset({"classifier_top5", "R@20", "R@50"})
_BY = {"probe": "linear probe", "classifier": "classifier"}
_PER_CLASS = {"probe": "per_class", "classifier": "per_class_of_classifier"}


def metric_table(metrics: Sequence[ViewMetrics], *, is_centred: bool = False, notes: Sequence[str] = ()) -> None:
    """Print what guessing reaches, then one row per method and view, all figures in per cent ± standard error.

    Args:
        metrics: at least one.
        is_centred: whether neighbours were sought without the mean of each set; the title says so.
        notes: sentences to stand below, such as why a classifier is not judged.
    """
    first = metrics[0]
    how = "centred per set" if is_centred else "not centred"
    where = f"R@k and kNN among {first.gallery_size} training videos, cosine, {how}"
    what = f"{first.num_questions} test videos of {first.num_classes} classes"
    table = _table(f"{what}, per cent ± standard error; {where}")
    fullest_first = sorted(metrics, key=lambda row: len(row.figures), reverse=True)
    figures = list(
        dict.fromkeys(name for row in fullest_first for name in shown_figures(row) if name not in _FOR_WIDER_PAGES)
    )
    for name in ("method", "view"):
        table.add_column(name)
    for name in figures:
        table.add_column(column_title(name), justify="right")
    chance = {name: value for row in reversed(fullest_first) for name, value in row.chance.items()}
    table.add_row("chance", "", *(_shown(chance.get(name, math.nan)) for name in figures))
    previous = ""
    for row in metrics:
        if row.method != previous:
            table.add_section()
            previous = row.method
        table.add_row(printable(row.method), row.view, *(_with_error(row, name) for name in figures))
    print_table(table)
    small = [f"kNN: all {first.gallery_size} training videos vote"] if first.gallery_size < NEIGHBOURS else []
    _print_below(*small, *notes)


def difference_table(found: Sequence[Difference], method: str) -> None:
    """Print what a method gains over others, a row for each of them and each view, in points ± standard error.

    Args:
        found: the differences; at least one.
        method: what is compared with the others.
    """
    table = _table(f"\n{printable(method)} against the others, on the same test videos: points gained ± standard error")
    names = list(dict.fromkeys(one.figure for one in found))
    for name in ("over", "view"):
        table.add_column(name)
    for name in names:
        table.add_column(column_title(name), justify="right")
    of_rows: dict[tuple[str, str], dict[str, Difference]] = {}
    for one in found:
        of_rows.setdefault((one.method, one.view), {})[one.figure] = one
    for (other, view), gains in of_rows.items():
        table.add_row(printable(other), view, *(_gain(gains.get(name)) for name in names))
    print_table(table)
    _print_below("* beyond chance: more than twice its standard error")


def class_table(result: EvaluationResult) -> None:
    """Print figures of each class by the linear probe, and by the classifier where it is judged; see `_class_table`."""
    for by, recognition in _recognitions(result).items():
        _class_table(result, by, recognition)


def metrics_json(
    results: Sequence[EvaluationResult], found: Sequence[Difference] = (), *, has_classes: bool = False
) -> str:
    """All metrics as a JSON list of flat objects.

    Args:
        results: what was evaluated.
        found: what the last of them gains over the others, which its rows tell in `differences`.
        has_classes: each row also has the figures of its classes by the probe in `per_class`, and by the classifier
            where that is judged in `per_class_of_classifier`.
    """
    rows = []
    for result in results:
        reason = {"classifier_not_judged": result.not_judged} if result.not_judged else {}
        for row in result.metrics:
            classes = _classes_of(result, row.view) if has_classes else {}
            gains = _gains(found, row.view) if result is results[-1] else {}
            rows.append(row.to_dict() | reason | gains | classes)
    return json.dumps(rows, indent=2)


def figure_table(title: str, rows: Sequence[Mapping[str, str | float]]) -> None:
    """Print flat rows of the same names, texts to the left and figures with one decimal to the right."""
    table = _table(title)
    for name, value in rows[0].items():
        table.add_column(name.replace("_", " "), justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(printable(v) if isinstance(v, str) else _shown(v) for v in row.values()))
    print_table(table)


def figures_json(rows: Sequence[Mapping[str, str | float]]) -> str:
    """Flat rows as a JSON list; a figure that is not a number is null."""
    finite = [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows]
    return json.dumps(finite, indent=2)


def write_confusion(results: Sequence[EvaluationResult], path: Path) -> None:
    """Write how many test videos of each class (a row each) were called what (a column each), per method and view.

    By the linear probe of every method, and by the classifiers that are judged; column `by` tells which. A class that
    only a classifier knows has no column. Names that are no UTF-8 are written as `printable` does.
    """
    labels = sorted({label for result in results for label in result.labels})
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["method", "view", "by", "class", *map(printable, labels)])
        for result in results:
            for by, recognition in _recognitions(result).items():
                for view, matrix in recognition.confusion.items():
                    for label, counts in zip(result.labels, matrix.tolist(), strict=True):
                        called = dict(zip(result.labels, counts, strict=True))
                        names = (printable(result.method), view, by, printable(label))
                        writer.writerow([*names, *(called.get(name, 0) for name in labels)])


def _recognitions(result: EvaluationResult) -> dict[str, Recognition]:
    """By whom the test videos are named → what they are called."""
    found = {"probe": result.by_probe}
    return found if result.by_classifier is None else found | {"classifier": result.by_classifier}


def _class_table(result: EvaluationResult, by: str, recognition: Recognition) -> None:
    """Precision, recall and F1 of each class, of all views fused if there are several; recall of every view."""
    views = [view for view in recognition.per_class if not view.startswith(FUSED)]
    shown = FUSED if FUSED in recognition.per_class else views[0]
    table = _table(f"\n{printable(result.method)}, {shown}: each class by the {_BY[by]}, per cent")
    table.add_column("class")
    columns = ("videos", "precision", "recall", "F1", *(f"recall {view}" for view in views if view != shown))
    for name in columns:
        table.add_column(name, justify="right")
    for index, row in enumerate(recognition.per_class[shown]):
        others = [recognition.per_class[view][index].recall for view in views if view != shown]
        figures = [row.precision, row.recall, row.f1, *others]
        table.add_row(printable(row.label), str(row.support), *map(_shown, figures))
    print_table(table)


def _classes_of(result: EvaluationResult, view: str) -> dict[str, list[dict[str, object]]]:
    """Name of a column of JSON → figures of each class."""
    return {
        _PER_CLASS[by]: [one.to_dict() for one in recognition.per_class[view]]
        for by, recognition in _recognitions(result).items()
        if view in recognition.per_class
    }


def _gains(found: Sequence[Difference], view: str) -> dict[str, dict[str, dict[str, object]]]:
    """Other method → figure → the gain over it."""
    gains: dict[str, dict[str, object]] = {}
    for one in found:
        if one.view == view:
            told = {"gain": one.gain, "se": one.standard_error, "is_beyond_error": one.is_beyond_error}
            gains.setdefault(one.method, {})[one.figure] = told
    return {"differences": gains} if gains else {}


def _table(title: str) -> Table:
    table = new_table(title=title, is_dense=True)
    table.show_edge = False
    return table


def _shown(per_cent: float) -> str:
    return "–" if math.isnan(per_cent) else f"{per_cent:.1f}"


def _print_below(*notes: str) -> None:
    """Sentences below a table, each in a line however narrow the table is."""
    for note in notes:
        typer.echo(note)


def _with_error(row: ViewMetrics, name: str) -> str:
    value = row.figures.get(name)
    return "–" if value is None else f"{value:.1f} ±{row.standard_errors[name]:.1f}"


def _gain(one: Difference | None) -> str:
    return "–" if one is None else f"{one.gain:+.1f} ±{one.standard_error:.1f} {'*' if one.is_beyond_error else ' '}"
