"""Predictions behind the figures: confusion matrix and figures per class."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.training.evaluation.features import VideoFeatures
from cocon.training.evaluation.judgement import judge_features


def _features(vectors: NDArray[np.float32], labels: str) -> VideoFeatures:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = np.array([f"group {index}" for index in range(len(labels))])
    return VideoFeatures({"rgb": unit.astype(np.float32)}, np.array(list(labels)), groups)


def test_confusion_and_figures_per_class_count_the_predictions() -> None:
    train = _features(np.repeat(np.eye(3, dtype=np.float32), 4, axis=0), "aaaabbbbcccc")
    test = _features(np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1]], "aabad")  # one a looks like b, and d is unknown
    judged = judge_features({"train": train, "test": test}, "cocon")
    assert judged.labels == ("a", "b", "c", "d")
    assert judged.truth.tolist() == list("aabad")
    assert judged.predicted["rgb"].tolist() == list("aabbb")
    assert judged.confusion["rgb"].tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert judged.merits[0].probe_top1 == pytest.approx(60)
    assert judged.probabilities["rgb"].sum(axis=1) == pytest.approx(np.ones(5))
    assert judged.probabilities["rgb"].dtype == np.float64
    a, b, c, d = judged.per_class["rgb"]
    assert (a.label, a.precision, a.recall, a.f1, a.support) == ("a", 100, pytest.approx(200 / 3), pytest.approx(80), 3)
    assert (b.precision, b.recall, b.f1, b.support) == (pytest.approx(100 / 3), 100, 50, 1)
    assert [math.isnan(value) for value in (c.precision, c.recall, c.f1, d.precision)] == [True] * 4
    assert (d.recall, d.support) == (0, 1)
