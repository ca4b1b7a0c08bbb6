"""Tables for people, and the confusion matrix for other programs."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from cocon.core.atomic import replacing
from cocon.core.printable import printable
from cocon.core.tables import new_table, print_table
from cocon.training.evaluation.recognition.metrics import FUSED, NEIGHBOURS, NOT_IN_TABLES, ViewMetrics, column_title
from cocon.training.evaluation.recognition.result import EvaluationResult

__all__ = [
    "class_table",
    "figure_table",
    "figures_json",
    "metric_table",
    "metrics_json",
    "write_confusion",
]


def metric_table(metrics: Sequence[ViewMetrics], *, is_centred: bool = False) -> None:
    """Print one row per method and view, all figures in per cent.

    Args:
        metrics: at least one.
        is_centred: whether neighbours were sought without the mean of each set; the title says so.
    """
    gallery_size = metrics[0].gallery_size
    how = "centred per set" if is_centred else "not centred"
    table = _table(f"test videos, per cent; R@k and kNN among {gallery_size} training videos, cosine, {how}")
    fullest_first = sorted(metrics, key=lambda row: len(row.figures), reverse=True)
    figures = list(dict.fromkeys(name for row in fullest_first for name in row.figures if name not in NOT_IN_TABLES))
    for name in ("method", "view"):
        table.add_column(name)
    for name in figures:
        table.add_column(column_title(name), justify="right")
    capped = [f"R@{k}" for k in metrics[0].recall if k > gallery_size]
    capped += ["kNN"] if gallery_size < NEIGHBOURS else []
    if capped:
        table.caption = f"{', '.join(capped)}: all {gallery_size} training videos are looked at"
    previous = metrics[0].method
    for row in metrics:
        if row.method != previous:
            table.add_section()
            previous = row.method
        table.add_row(printable(row.method), row.view, *(_shown(row.figures.get(name, math.nan)) for name in figures))
    print_table(table)


def class_table(result: EvaluationResult) -> None:
    """Print precision, recall and F1 of each class, of all views fused if there are several; recall of every view."""
    views = [view for view in result.per_class if not view.startswith(FUSED)]
    shown = FUSED if FUSED in result.per_class else views[0]
    has_classifier = any(row.classifier_top1 is not None for row in result.metrics)
    by = "classifier" if has_classifier else "linear probe"
    table = _table(f"\n{printable(result.method)}, {shown}: test videos of each class by the {by}, per cent")
    table.add_column("class")
    columns = ("videos", "precision", "recall", "F1", *(f"recall {view}" for view in views if view != shown))
    for name in columns:
        table.add_column(name, justify="right")
    for index, row in enumerate(result.per_class[shown]):
        others = [result.per_class[view][index].recall for view in views if view != shown]
        figures = [row.precision, row.recall, row.f1, *others]
        table.add_row(printable(row.label), str(row.support), *map(_shown, figures))
    print_table(table)


def metrics_json(results: Sequence[EvaluationResult], *, has_classes: bool = False) -> str:
    """All metrics as a JSON list of flat objects; on demand, each with the figures of its classes in `per_class`."""
    rows = []
    for result in results:
        for row in result.metrics:
            classes = [of_class.to_dict() for of_class in result.per_class[row.view]]
            rows.append(row.to_dict() | ({"per_class": classes} if has_classes else {}))
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

    Names that are no UTF-8 are written as `printable` does.
    """
    labels = sorted({label for result in results for label in result.labels})
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["method", "view", "class", *map(printable, labels)])
        for result in results:
            for view, matrix in result.confusion.items():
                for label, counts in zip(result.labels, matrix.tolist(), strict=True):
                    called = dict(zip(result.labels, counts, strict=True))
                    names = (printable(result.method), view, printable(label))
                    writer.writerow([*names, *(called.get(name, 0) for name in labels)])


def _table(title: str) -> Table:
    table = new_table(title=title, is_dense=True)
    table.show_edge = False
    return table


def _shown(per_cent: float) -> str:
    return "–" if math.isnan(per_cent) else f"{per_cent:.1f}"
