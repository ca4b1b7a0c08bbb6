"""Plots of a report, each drawn for light and for dark paper: SVG with real text, so it stays sharp and small.

matplotlib's figures are used as objects, without pyplot: no display, no state that outlives a plot.
"""

import base64
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from cocon.core.printable import printable
from cocon.training.evaluation.report.content import Projection
from cocon.training.evaluation.report.curves import CurvePanel

__all__ = [
    "DARK",
    "LIGHT",
    "MAX_IN_MATRIX",
    "MAX_MARKED",
    "Plot",
    "Theme",
    "class_mark",
    "confusion_plot",
    "curve_plot",
    "map_plot",
]

_MARKERS = "os^DvPX*"
_LINE_STYLES = ("-", "--", ":")
# Of more classes, no matrix can be read; nor their marks on a map.
MAX_IN_MATRIX = 25
MAX_MARKED = 24
# So wide is a section of the page in a window of 800 pixels.
_SECTION_INCHES = 7.2
_CELL_INCHES = 0.34
_LONGEST_NAME = 28


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a plot.

    Attributes:
        ink: of text.
        line: of axes and grids.
        faint: of what is not marked.
        series: that colour-blind people tell apart (Okabe and Ito 2008, without yellow and black), lighter on dark.
        heat: of nothing, half and all.
    """

    ink: str
    line: str
    faint: str
    series: tuple[str, ...]
    heat: tuple[str, str, str]


LIGHT = Theme(
    "#2b3036",
    "#d5d9de",
    "#b3bac2",
    ("#0072b2", "#d55e00", "#009e73", "#c46ba0", "#b87f00", "#3a9fd8"),
    ("#f4f6f8", "#5ea0cf", "#08335f"),
)
DARK = Theme(
    "#d7dbe0",
    "#3b424a",
    "#5a646e",
    ("#4aa3df", "#f0854a", "#2dbe96", "#e09cc3", "#e8b13a", "#9bd4f5"),
    ("#20262c", "#2f7fb8", "#d6ecff"),
)


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture in two colourings.

    Attributes:
        light: data URI for light paper.
        dark: data URI for dark paper.
        width: in CSS pixels.
        height: likewise.
        alt: what it shows, in words.
    """

    light: str
    dark: str
    width: int
    height: int
    alt: str


def class_mark(index: int) -> tuple[int, str]:
    """Colour number and shape of a class's mark; the shape as points of an SVG polygon within ±1.

    The marks of `MAX_MARKED` classes differ.
    """
    marker = MarkerStyle(_marker(index))
    path = marker.get_path().transformed(marker.get_transform())
    (corners,) = path.to_polygons()
    corners = corners / np.abs(corners).max()
    return index % len(LIGHT.series), " ".join(f"{x:.2f},{-y:.2f}" for x, y in corners)


def map_plot(projection: Projection, marked: Sequence[str]) -> Plot:
    """Scatter of videos, colour and shape by class; videos of classes that are not marked are small and gray."""
    area = 24 if len(projection.labels) > 200 else 42  # square points

    def draw(axes: Axes, theme: Theme) -> None:
        x, y = projection.points[~np.isin(projection.labels, marked)].T
        axes.scatter(x, y, s=8, color=theme.faint, linewidths=0)
        for index, label in enumerate(marked):
            x, y = projection.points[projection.labels == label].T
            colour = theme.series[index % len(theme.series)]
            axes.scatter(x, y, s=area, color=colour, marker=_marker(index), linewidths=0, alpha=0.85)
        axes.margins(0.06)
        axes.set_axis_off()

    views = " + ".join(projection.views)
    return _plot(draw, 3.0, 2.9, f"t-SNE of {len(projection.labels)} test videos by {views}, marked by class")


def confusion_plot(counts: NDArray[np.int64], classes: Sequence[str]) -> Plot:
    """Heat-map of `int64 [K, K]`: which share, in per cent, of the row's videos was taken for the column's class.

    It can be read up to `MAX_IN_MATRIX` classes.
    """
    shares = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    shown = map(printable, classes)
    names = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in shown]
    label_inches = 0.4 + 0.068 * max(map(len, names))
    side = max(2.2, min(_SECTION_INCHES - label_inches, _CELL_INCHES * len(classes)))

    def draw(axes: Axes, theme: Theme) -> None:
        heat = LinearSegmentedColormap.from_list("heat", theme.heat)
        axes.imshow(shares, cmap=heat, vmin=0, vmax=100)
        ticks = range(len(names))
        axes.set_xticks(ticks, names, rotation=90)
        axes.set_yticks(ticks, names)
        axes.set(xlabel="taken for", ylabel="is")
        axes.tick_params(length=0)
        axes.hlines(np.arange(len(names) - 1) + 0.5, -0.5, len(names) - 0.5, color=theme.line, lw=0.4)
        axes.vlines(np.arange(len(names) - 1) + 0.5, -0.5, len(names) - 0.5, color=theme.line, lw=0.4)
        for row, column in np.argwhere(counts > 0):
            share = shares[row, column]
            ink = max((theme.ink, theme.heat[0]), key=lambda colour: abs(_luma(colour) - _luma(heat(share / 100))))
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=ink)

    accuracy = 100 * np.trace(counts) / max(1, counts.sum())
    alt = f"Confusion matrix of {len(classes)} classes; {accuracy:.1f} per cent lie on its diagonal"
    return _plot(draw, side + label_inches, side + label_inches, alt)


def curve_plot(panel: CurvePanel) -> Plot:
    """Lines over epochs; lines differ in colour and in stroke."""

    def draw(axes: Axes, theme: Theme) -> None:
        for index, (name, points) in enumerate(panel.lines.items()):
            epochs, values = zip(*points, strict=True)
            colour = theme.series[index % len(theme.series)]
            style = _LINE_STYLES[index % len(_LINE_STYLES)]
            axes.plot(epochs, values, style, color=colour, label=name, marker="o" if len(points) < 3 else "", lw=1.6)
        axes.grid(visible=True, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.ticklabel_format(axis="y", scilimits=(-3, 4))
        if any(panel.lines):
            axes.legend(
                loc="lower left",  # of the legend, put above the lines: nowhere else is free in every plot
                bbox_to_anchor=(-0.02, 1.0),
                borderpad=0.0,
                frameon=False,
                ncols=4 if len(panel.lines) <= 4 else 3,
                handlelength=2.2,
                columnspacing=1.2,
            )

    return _plot(draw, 4.0, 2.6, f"{panel.title}, over the epochs")


def _plot(draw: Callable[[Axes, Theme], None], width: float, height: float, alt: str) -> Plot:
    """Draw one pair of axes in both colourings; width and height are inches of 96 CSS pixels."""
    light, dark = (_svg(draw, theme, width, height) for theme in (LIGHT, DARK))
    return Plot(light, dark, round(96 * width), round(96 * height), alt)


def _svg(draw: Callable[[Axes, Theme], None], theme: Theme, width: float, height: float) -> str:
    inked = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")
    lined = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    settings: dict[Any, Any] = dict.fromkeys(inked, theme.ink) | dict.fromkeys(lined, theme.line)
    settings |= {
        "font.size": 8.5,
        "svg.fonttype": "none",
        "svg.hashsalt": "cocon",
        "text.parse_math": False,  # a class may be called $x
        "axes.facecolor": "none",
        "figure.facecolor": "none",
    }
    stream = io.StringIO()
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot(), theme)
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue().encode()).decode()


def _luma(colour: ColorType) -> float:
    """How bright a colour looks, 0..1 (ITU-R BT.709)."""
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def _marker(index: int) -> str:
    return _MARKERS[index % len(_MARKERS)]
