"""Predictions behind the figures: confusion matrix and figures per class."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.result import MetricOptions, evaluate_features


def _features(vectors: NDArray[np.float32], labels: str) -> VideoFeatures:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = np.array([f"group {index}" for index in range(len(labels))])
    return VideoFeatures({"rgb": unit.astype(np.float32)}, np.array(list(labels)), groups)


def test_confusion_and_figures_per_class_count_the_predictions() -> None:
    train = _features(np.repeat(np.eye(3, dtype=np.float32), 4, axis=0), "aaaabbbbcccc")
    test = _features(np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1]], "aabad")  # one a looks like b, and d is unknown
    result = evaluate_features({"train": train, "test": test}, "cocon")
    assert result.labels == ("a", "b", "c", "d")
    assert result.truth.tolist() == list("aabad")
    assert result.predicted["rgb"].tolist() == list("aabbb")
    assert result.confusion["rgb"].tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert result.metrics[0].probe_top1 == pytest.approx(60)
    assert result.probabilities["rgb"].sum(axis=1) == pytest.approx(np.ones(5))
    assert result.probabilities["rgb"].dtype == np.float64
    a, b, c, d = result.per_class["rgb"]
    assert (a.label, a.precision, a.recall, a.f1, a.support) == ("a", 100, pytest.approx(200 / 3), pytest.approx(80), 3)
    assert (b.precision, b.recall, b.f1, b.support) == (pytest.approx(100 / 3), 100, 50, 1)
    assert [math.isnan(value) for value in (c.precision, c.recall, c.f1, d.precision)] == [True] * 4
    assert (d.recall, d.support) == (0, 1)


def _two_views(labels: str, groups: list[str], *, noise: float = 0.1) -> VideoFeatures:
    """`rgb` knows the class, up to noise; `pose` says nothing."""
    rng = np.random.default_rng(len(labels))
    truth = np.eye(3)[["abc".index(label) for label in labels]] + noise * rng.normal(size=(len(labels), 3))
    vectors = {"rgb": truth, "pose": rng.normal(size=(len(labels), 3))}
    unit = {view: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for view, x in vectors.items()}
    return VideoFeatures(unit, np.array(list(labels)), np.array(groups))


def test_learned_weights_trust_the_view_that_knows() -> None:
    train = _two_views("abc" * 10, ["ann"] * 15 + ["bob"] * 15, noise=0.3)
    test = _two_views("abc" * 20, ["sue"] * 60, noise=0.3)
    rgb, _, equal, learned = evaluate_features({"train": train, "test": test}, "cocon").metrics
    assert learned.weights["probe_rgb"] > 10 * learned.weights["probe_pose"]
    assert learned.weights["retrieval_rgb"] > 0.9
    assert equal.weights == {}
    assert equal.recall[1] < learned.recall[1] <= 100
    assert rgb.weights == {}


def test_nothing_is_learned_of_weights_from_one_group() -> None:
    train, test = _two_views("abc" * 10, ["ann"] * 30), _two_views("abc" * 5, ["sue"] * 15)
    result = evaluate_features({"train": train, "test": test}, "cocon")
    assert [row.view for row in result.metrics] == ["rgb", "pose", "ensemble"]


def test_few_shot_figures_go_as_far_as_every_class_has_videos_and_leave_learned_weights_out() -> None:
    labels = "a" * 12 + "b" * 5 + "c" * 9
    train, test = _two_views(labels, ["ann", "bob"] * 13), _two_views("abc" * 20, ["sue"] * 60)
    result = evaluate_features({"train": train, "test": test}, "cocon", MetricOptions(has_few_shot=True))
    assert {row.view: list(row.few_shot) for row in result.metrics} == {
        "rgb": [1, 5],
        "pose": [1, 5],
        "ensemble": [1, 5],
        "ensemble_learned": [],
    }
    assert result.metrics[0].few_shot[5] > 90
    assert "probe_5_per_class" in result.metrics[0].to_dict()


def test_centring_undoes_what_all_videos_of_a_set_share() -> None:
    train, test = (_two_views("abc" * count, ["ann", "bob", "eve"] * count) for count in (10, 20))
    offset = np.array([0.0, 3.0, 1.0], np.float32)
    moved = test.embeddings["rgb"] + offset
    biased = {"rgb": moved / np.linalg.norm(moved, axis=1, keepdims=True)}
    features = {
        "train": replace(train, embeddings={"rgb": train.embeddings["rgb"]}),
        "test": replace(test, embeddings=biased),
    }
    (plain,) = evaluate_features(features, "cocon").metrics
    (centred,) = evaluate_features(features, "cocon", MetricOptions(is_centred=True)).metrics
    assert plain.recall[1] < 60
    assert centred.recall[1] > 90
    assert centred.knn_top1 > 90
    assert centred.probe_top1 == plain.probe_top1


def test_a_classifier_of_other_classes_is_said_and_not_judged(caplog: pytest.LogCaptureFixture) -> None:
    train, test = (_two_views("abc" * count, ["ann", "bob", "eve"] * count) for count in (10, 5))
    foreign = replace(test, probabilities={"rgb": np.ones((15, 1)), "pose": np.ones((15, 1))}, classes=("fly",))
    result = evaluate_features({"train": train, "test": foreign}, "cocon")
    assert all(row.classifier_top1 is None for row in result.metrics)
    assert result.labels == ("a", "b", "c")
    assert "knows no class of the test videos" in caplog.text


def test_a_classifier_may_know_more_classes_than_the_videos_have() -> None:
    train, test = (_two_views("abc" * count, ["ann", "bob", "eve"] * count) for count in (10, 2))
    table = np.tile([0.1, 0.2, 0.3, 0.4], (6, 1))
    known = replace(test, probabilities={"rgb": table, "pose": table}, classes=("a", "b", "bb", "c"))
    result = evaluate_features({"train": train, "test": known}, "cocon")
    assert result.labels == ("a", "b", "bb", "c")
    assert result.predicted["ensemble"].tolist() == ["c"] * 6
    assert result.metrics[0].classifier_top1 == pytest.approx(100 / 3)
    assert result.metrics[0].classifier_top5 == 100


def test_training_videos_of_which_one_class_is_left_are_refused() -> None:
    videos = _features(np.eye(3, dtype=np.float32), "aaa")
    with pytest.raises(UsageError, match="training videos that could be read are all of class 'a'"):
        evaluate_features({"train": videos, "test": videos}, "cocon")
