"""The tables of a report: what is best, what is left out, and weights."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import ViewMetrics
from cocon.training.evaluation.recognition.result import evaluate_features
from cocon.training.evaluation.report.bars import ShownMethod
from cocon.training.evaluation.report.merits import merit_tables, weight_rows

OfRows = Callable[..., ShownMethod]


@pytest.fixture(scope="module")
def of_rows() -> OfRows:
    """`of_rows(name, row, ...)`: a method with these figures."""
    labels = np.array(["a", "b"])
    videos = VideoFeatures({"rgb": np.eye(2, dtype=np.float32)}, labels, labels)
    result = evaluate_features({"train": videos, "test": videos}, "cocon")
    return lambda name, *rows: ShownMethod(name, name, 0, replace(result, method=name, metrics=rows))


def _row(view: str, probe: float, recall: dict[int, float], *, gallery_size: int = 9, **others: Any) -> ViewMetrics:
    return ViewMetrics("cpc", view, probe, recall, 10.0, gallery_size, 40, 5, **others)


def test_the_best_of_a_column_is_all_that_look_equal(of_rows: OfRows) -> None:
    first = of_rows("cpc", _row("rgb", 70.04, {1: 50.0}), _row("ensemble", 69.99, {1: math.nan}))
    second = of_rows("random", _row("rgb", 69.0, {1: 50.04}, chance={"R@1": 20.0}))
    named, found = merit_tables([first, second])
    assert named.columns == ("probe_top1", "knn_top1")
    assert found.columns == ("R@1",)
    (cpc, (rgb, joint)), (random, (other,)) = named.methods
    assert (cpc, random) == (first, second)
    assert [row.view for row in (rgb, joint, other)] == ["rgb", "ensemble", "rgb"]
    assert rgb.figures == joint.figures == {"probe_top1": 70.0, "knn_top1": 10.0}
    assert [row.best for row in (rgb, joint, other)] == [{"probe_top1", "knn_top1"}] * 2 + [{"knn_top1"}]
    retrieval = [row for _, rows in found.methods for row in rows]
    assert [row.figures["R@1"] for row in retrieval] == [50.0, None, 50.0]
    assert [row.best for row in retrieval] == [{"R@1"}, set(), {"R@1"}]
    assert (named.chance, found.chance) == ({"probe_top1": None, "knn_top1": None}, {"R@1": 20.0})


def test_what_would_look_at_the_whole_gallery_is_no_column(of_rows: OfRows) -> None:
    recall = {1: 10.0, 5: 40.0, 10: 60.0, 20: 100.0, 50: 100.0}
    for gallery_size, kept in ((5, (1,)), (6, (1, 5)), (20, (1, 5, 10)), (21, (1, 5, 10, 20)), (51, tuple(recall))):
        _, found = merit_tables([of_rows("cpc", _row("rgb", 70.0, recall, gallery_size=gallery_size))])
        assert found.columns == tuple(f"R@{k}" for k in kept)


def test_few_shot_figures_stand_last(of_rows: OfRows) -> None:
    rows = _row("rgb", 70.0, {1: 10.0}, few_shot={1: 20.0}), _row("flow", 70.0, {1: 10.0}, ordered_probe_top1=30.0)
    named, _ = merit_tables([of_rows("cpc", *rows)])
    assert named.columns == ("probe_top1", "knn_top1", "ordered_probe_top1", "probe_1_per_class")


def test_weights_have_a_row_per_method_and_purpose(of_rows: OfRows) -> None:
    weights = {"probe_rgb": 3.0, "probe_flow": 1.0, "ordered_retrieval_rgb": 0.0, "ordered_retrieval_flow": 0.0}
    method = of_rows("cpc", _row("rgb", 1.0, {1: 1.0}), _row("ensemble_learned", 1.0, {1: 1.0}, weights=weights))
    probe, ordered = weight_rows([method])
    assert (probe.purpose, probe.weights) == ("probe", {"rgb": 3.0, "flow": 1.0})
    assert probe.shares == {"rgb": 75.0, "flow": 25.0}
    assert (ordered.purpose, ordered.shares) == ("ordered retrieval", {"rgb": 0.0, "flow": 0.0})
    paper = _row("ensemble_paper", 1.0, {1: 1.0}, weights={"probe_rgb": 0.5, "probe_flow": 0.5})
    assert weight_rows([of_rows("cpc", _row("rgb", 1.0, {1: 1.0}), paper)]) == []  # which everyone knows
