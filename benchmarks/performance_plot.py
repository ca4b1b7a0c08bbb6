"""The picture of `docs/performance.md`: every figure's ratio to its alternative, around a line at 1.

Above, what was asked for, one line each; below, all the others, a line for each benchmark. Colours are told apart by
colour-blind people, and what falls short has another mark too.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from results_file import Row

if TYPE_CHECKING:
    from performance import Results

__all__ = ["draw"]

# As in the report of an evaluation, whose module would load torch: two that colour-blind people tell apart.
_GOOD, _SHORT, _INK, _LINE = "#0072b2", "#d55e00", "#2b3036", "#d5d9de"
_LINE_INCHES, _STRIP_INCHES, _MARGIN_INCHES = 0.42, 0.3, 0.95
_WIDTH_INCHES = 11.5
_LABEL_WIDTH = 80  # characters; cases differ at their ends
_NEAR_TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 10)
_FAR_TICKS = (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1000)


def draw(results: "Sequence[Results]", path: Path) -> None:
    """Write the picture."""
    asked = [row for one in results for row in one.rows if row.wanted is not None]
    others = {
        one.title: [row for row in one.rows if row.wanted is None and row.ratio > 0]
        for one in results
        if any(row.wanted is None for row in one.rows)
    }
    heights = [_LINE_INCHES * len(asked) + _MARGIN_INCHES] if asked else []
    heights += [_STRIP_INCHES * len(others) + _MARGIN_INCHES]
    settings = {
        "font.size": 9,
        "font.family": "DejaVu Sans",
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(_WIDTH_INCHES, sum(heights)), layout="constrained")
        figure.get_layout_engine().set(hspace=0.06)  # type: ignore[union-attr]  # it has one
        panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        if asked:
            _draw_asked(panels[0], asked)
        _draw_others(panels[-1], others, "All others" if asked else "All")
        figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})


def _draw_asked(axes: Axes, rows: Sequence[Row]) -> None:
    for line, row in enumerate(rows):
        assert row.wanted is not None
        is_met = row.ratio >= row.wanted
        colour = _GOOD if is_met else _SHORT
        axes.plot([row.wanted, row.ratio], [line, line], color=colour, lw=1.4, alpha=0.5, zorder=2)
        axes.plot(row.wanted, line, "|", color=_INK, ms=13, mew=1.6, zorder=3)
        axes.plot(row.ratio, line, "o" if is_met else "D", color=colour, ms=7 if is_met else 6, zorder=4)
        axes.annotate(
            f"{row.ratio:.2f}",
            (max(row.ratio, row.wanted), line),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},  # the line at 1 may pass behind
            zorder=5,
        )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title("What was asked for: ● reached, ◆ not; | the least that was asked", loc="left", fontsize=10)
    _on_a_scale_of_ratios(axes, [*(row.ratio for row in rows), *(row.wanted or 1.0 for row in rows)], _NEAR_TICKS)


def _draw_others(axes: Axes, groups: dict[str, list[Row]], what: str) -> None:
    for line, rows in enumerate(groups.values()):
        ratios = [row.ratio for row in rows]
        axes.plot([min(ratios), max(ratios)], [line, line], color=_LINE, lw=3, solid_capstyle="round", zorder=1)
        for ratio in ratios:
            is_better = ratio >= 1
            axes.plot(
                ratio, line, "o" if is_better else "D", color=_GOOD if is_better else _SHORT, ms=6, alpha=0.7, zorder=3
            )
    axes.set_yticks(range(len(groups)), [f"{title} ({len(rows)})" for title, rows in groups.items()])
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_title(f"{what}, by benchmark: ● better than the alternative, ◆ not", loc="left", fontsize=10)
    _on_a_scale_of_ratios(axes, [row.ratio for rows in groups.values() for row in rows], _FAR_TICKS)
    axes.set_xlabel("ratio to the alternative of the same run (log scale); the table names both")


def _on_a_scale_of_ratios(axes: Axes, ratios: Sequence[float], ticks: Sequence[float]) -> None:
    """Logarithmic, so that twice and half are as far from 1, and read in plain numbers."""
    axes.set_xscale("log")
    axes.set_xlim(min([*ratios, 1.0]) / 1.35, max([*ratios, 1.0]) * 1.6)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.axvline(1.0, color=_INK, lw=1.1, zorder=0)
    axes.grid(axis="x", color=_LINE, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _label(row: Row) -> str:
    lines = textwrap.wrap(row.case, _LABEL_WIDTH, max_lines=1, placeholder=" …")
    return "\n".join([*lines, *textwrap.wrap(f"vs {row.versus}", _LABEL_WIDTH, max_lines=1, placeholder=" …")])
