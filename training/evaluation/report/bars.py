"""What a report leads with: a panel of bars per figure, in it the views, and of each view a bar per method."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from cocon.training.evaluation.recognition.compared_runs import ComparedRuns
from cocon.training.evaluation.recognition.metrics import ViewMetrics
from cocon.training.evaluation.recognition.result import EvaluationResult

__all__ = ["Bar", "BarPanel", "ShownMethod", "ViewBars", "bar_panels", "shown_methods"]

_PANELS = {
    "classifier_top1": "Trained classifier, top-1",
    "probe_top1": "Linear probe, top-1",
    "R@1": "Retrieval, R@1",
    "search_R@1": "First hit of client search",
}


@dataclass(frozen=True, slots=True)
class ShownMethod:
    """A method as all of the page calls and colours it.

    Attributes:
        name: what it is called.
        short: the same where there is little room: of `cocon (runs/a)`, the folder's name.
        colour: number of its colour among the theme's series; None for what knows nothing, which is gray.
        result: its figures.
    """

    name: str
    short: str
    colour: int | None
    result: EvaluationResult


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure of one method, in per cent.

    Attributes:
        method: whose.
        value: the figure.
        low: where its interval begins.
        high: where it ends.
    """

    method: ShownMethod
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ViewBars:
    """The methods in one view.

    Attributes:
        view: name of the view, or of their fusion.
        chance: what guessing gives, in per cent; None where nobody knows.
        bars: one per method that has the figure, in the order of the page.
    """

    view: str
    chance: float | None
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class BarPanel:
    """One figure.

    Attributes:
        figure: its name in JSON.
        title: what the page calls it.
        views: in the order of the run's own rows.
    """

    figure: str
    title: str
    views: tuple[ViewBars, ...]

    @property
    def half_width(self) -> float:
        """Half of the longest interval, in points."""
        return max((bar.high - bar.low) / 2 for view in self.views for bar in view.bars)


def shown_methods(found: ComparedRuns) -> list[ShownMethod]:
    """The run first, then the runs and the baselines that it is compared with, the untrained networks last."""
    results = [found.runs[-1], *found.runs[:-1], *found.baselines]
    names = [result.method for result in results]
    shorts = [PurePath(re.sub(r"^.* \((.*)\)$", r"\1", name)).name or name for name in names]
    if len(set(shorts)) < len(shorts):
        shorts = names
    shown = [ShownMethod(names[i], shorts[i], i, result) for i, result in enumerate(results)]
    if found.untrained is not None:
        shown.append(ShownMethod("untrained", "untrained", None, found.untrained))
    return shown


def bar_panels(methods: Sequence[ShownMethod]) -> list[BarPanel]:
    """A panel for every figure worth leading with that any method has, which are of the page and in its order."""
    rows = {(method.name, row.view): row for method in methods for row in method.result.metrics}
    views = dict.fromkeys(view for _, view in rows)
    panels = []
    for figure, title in _PANELS.items():
        of_views = [_view_bars(figure, view, methods, rows) for view in views]
        if shown := tuple(one for one in of_views if one.bars):
            panels.append(BarPanel(figure, title, shown))
    return panels


def _view_bars(
    figure: str, view: str, methods: Sequence[ShownMethod], rows: dict[tuple[str, str], ViewMetrics]
) -> ViewBars:
    bars, chances = [], []
    for method in methods:
        row = rows.get((method.name, view))
        if row is not None and figure in row.figures:
            bars.append(Bar(method, row.figures[figure], *row.intervals[figure]))
            chances.append(row.chance.get(figure))
    return ViewBars(view, next((chance for chance in chances if chance is not None), None), tuple(bars))
