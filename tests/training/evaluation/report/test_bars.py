"""Bars: every figure that is there, of every method, in the page's order and with its interval."""

from dataclasses import replace

import numpy as np
import pytest

from cocon.training.evaluation.recognition.compared_runs import ComparedRuns
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import ViewMetrics
from cocon.training.evaluation.recognition.result import EvaluationResult, evaluate_features
from cocon.training.evaluation.report.bars import bar_panels, shown_methods


@pytest.fixture(scope="module")
def result() -> EvaluationResult:
    """Of three classes and one view."""
    labels = np.array(list("abc") * 3)
    groups = np.array([str(index) for index in range(9)])
    videos = VideoFeatures({"rgb": np.eye(3, dtype=np.float32)[[0, 1, 2] * 3]}, labels, groups)
    return evaluate_features({"train": videos, "test": videos}, "cocon")


def _row(view: str, probe: float, **others: float) -> ViewMetrics:
    return ViewMetrics("", view, probe, {1: 50.0}, 40.0, 9, 40, 4, chance={"probe_top1": 25.0}, **others)


def _method(result: EvaluationResult, name: str, *rows: ViewMetrics) -> EvaluationResult:
    return replace(result, method=name, metrics=tuple(replace(row, method=name) for row in rows))


def test_the_run_is_first_the_untrained_last_and_every_method_keeps_its_colour(result: EvaluationResult) -> None:
    own = _method(result, "cocon", _row("rgb", 80.0), _row("flow", 70.0))
    other = _method(result, "cpc", _row("rgb", 60.0), _row("flow", 50.0))
    simple = _method(result, "flow-histogram", _row("flow", 65.0))
    untrained = _method(result, "random", _row("rgb", 20.0), _row("flow", 30.0))
    methods = shown_methods(ComparedRuns(untrained=untrained, baselines=(simple,), runs=(other, own), features={}))
    assert [(method.name, method.colour) for method in methods] == [
        ("cocon", 0),
        ("cpc", 1),
        ("flow-histogram", 2),
        ("untrained", None),
    ]
    probe, retrieval = bar_panels(methods)
    assert (probe.figure, retrieval.figure) == ("probe_top1", "R@1")
    assert [(one.view, [bar.value for bar in one.bars]) for one in probe.views] == [
        ("rgb", [80, 60, 20]),
        ("flow", [70, 50, 65, 30]),
    ]
    assert all(one.chance == 25 for one in probe.views)
    assert all(one.chance is None for one in retrieval.views)
    best = probe.views[0].bars[0]
    assert best.low < 80 < best.high
    assert best.method is methods[0]
    assert probe.half_width == pytest.approx(max((bar.high - bar.low) / 2 for one in probe.views for bar in one.bars))


@pytest.mark.parametrize(
    ("names", "shorts"),
    [
        (("cocon (runs/a)", "cocon (/data/runs/b)"), ["b", "a"]),
        (("cocon (x/a)", "cocon (y/a)"), ["cocon (y/a)", "cocon (x/a)"]),
        (("cpc", "cocon+dpc"), ["cocon+dpc", "cpc"]),
    ],
)
def test_runs_of_one_method_are_short_for_their_folders(
    names: tuple[str, str], shorts: list[str], result: EvaluationResult
) -> None:
    runs = tuple(_method(result, name) for name in names)
    methods = shown_methods(ComparedRuns(untrained=None, baselines=(), runs=runs, features={}))
    assert [method.short for method in methods] == shorts
    assert [method.name for method in methods] == list(reversed(names))


def test_a_figure_that_some_methods_lack_has_the_bars_of_the_others(result: EvaluationResult) -> None:
    own = _method(result, "cocon", _row("rgb", 80.0, classifier_top1=85.0))
    untrained = _method(result, "random", _row("rgb", 20.0))
    panels = bar_panels(shown_methods(ComparedRuns(untrained=untrained, baselines=(), runs=(own,), features={})))
    assert [panel.figure for panel in panels] == ["classifier_top1", "probe_top1", "R@1"]
    assert [bar.method.name for bar in panels[0].views[0].bars] == ["cocon"]
    assert [bar.method.name for bar in panels[1].views[0].bars] == ["cocon", "untrained"]


def test_the_run_alone_has_bars_too(result: EvaluationResult) -> None:
    (method,) = shown_methods(ComparedRuns(untrained=None, baselines=(), runs=(result,), features={}))
    probe, retrieval = bar_panels([method])
    for panel in (probe, retrieval):
        (one,) = panel.views
        assert [bar.value for bar in one.bars] == [100]
        assert one.bars[0].low < 100  # nine videos prove little
