"""Predictions behind the figures: confusion matrix and figures per class."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import ViewMetrics
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
    assert result.by_probe.predicted["rgb"].tolist() == list("aabbb")
    assert result.by_probe.confusion["rgb"].tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert result.metrics[0].probe_top1 == pytest.approx(60)
    assert result.by_probe.probabilities["rgb"].sum(axis=1) == pytest.approx(np.ones(5))
    assert result.by_probe.probabilities["rgb"].dtype == np.float64
    a, b, c, d = result.by_probe.per_class["rgb"]
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


def _few_shot_rows(train: VideoFeatures, test: VideoFeatures) -> tuple[ViewMetrics, ...]:
    return evaluate_features({"train": train, "test": test}, "cocon", MetricOptions(has_few_shot=True)).metrics


def test_few_shot_figures_go_as_far_as_every_class_has_videos() -> None:
    labels = "a" * 12 + "b" * 5 + "c" * 9
    train, test = _two_views(labels, ["ann", "bob"] * 13), _two_views("abc" * 20, ["sue"] * 60)
    result = evaluate_features({"train": train, "test": test}, "cocon", MetricOptions(has_few_shot=True))
    assert {row.view: list(row.few_shot) for row in result.metrics} == {
        "rgb": [1, 5],
        "pose": [1, 5],
        "ensemble": [1, 5],
        "ensemble_learned": [1, 5],
    }
    assert result.metrics[0].few_shot[5] > 90
    assert "probe_5_per_class" in result.metrics[0].to_dict()


def test_few_labels_learn_weights_of_their_own_which_no_other_label_changes() -> None:
    train = _two_views("abc" * 10, ["ann", "bob"] * 15, noise=0.35)
    test = _two_views("abc" * 40, ["sue"] * 120, noise=0.35)
    _, _, equal, learned = _few_shot_rows(train, test)
    assert learned.few_shot[5] > equal.few_shot[5]
    # Who the others are is nothing that a few labels tell.
    renamed = replace(train, groups=np.array(["eve", "ann", "bob"] * 10))
    assert _few_shot_rows(renamed, test)[3].few_shot == learned.few_shot


def test_one_label_a_class_teaches_no_weights() -> None:
    train, test = _two_views("abc" * 4, ["ann", "bob"] * 6), _two_views("abc" * 40, ["sue"] * 120)
    rgb, _, _, learned = _few_shot_rows(train, test)
    assert list(learned.few_shot) == [1]
    assert 100 / 3 < learned.few_shot[1] < rgb.few_shot[1]  # a view that says nothing counts as much


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


def test_guessing_is_of_the_classes_of_the_data_and_of_the_gallery() -> None:
    train = _two_views("aaaaaabbbc", ["ann", "bob"] * 5)
    test = _two_views("abc" * 4, ["sue"] * 12)
    row = evaluate_features({"train": train, "test": test}, "cocon").metrics[0]
    assert row.num_questions == 12
    assert row.chance["probe_top1"] == row.chance["knn_top1"] == pytest.approx(100 / 3)
    assert row.chance["R@1"] == pytest.approx(100 * (0.6 + 0.3 + 0.1) / 3)
    assert row.chance.keys() == row.figures.keys()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (("fly",), "of its 1 classes it shares none with the 3 of the data and does not know a, b, c"),
        (("a", "fly"), "of its 2 classes it shares 1 of the 3 classes of the data (a) and does not know b, c"),
    ],
)
def test_a_classifier_of_other_classes_is_not_judged_and_it_is_said_why(known: tuple[str, ...], said: str) -> None:
    train, test = (_two_views("abc" * count, ["ann", "bob", "eve"] * count) for count in (10, 5))
    table = np.ones((15, len(known))) / len(known)
    foreign = replace(test, probabilities={"rgb": table, "pose": table}, classes=known)
    result = evaluate_features({"train": train, "test": foreign}, "cocon")
    plain = evaluate_features({"train": train, "test": test}, "cocon")
    assert result.by_classifier is None
    assert result.metrics == plain.metrics
    assert result.labels == ("a", "b", "c")
    assert result.metrics[0].chance["probe_top1"] == pytest.approx(100 / 3)
    assert said in result.not_judged
    assert "\n" not in result.not_judged
    assert plain.not_judged == ""


def test_what_a_classifier_is_not_judged_for_names_a_few_classes_as_they_can_be_printed() -> None:
    train, test = (_two_views("abc" * count, ["ann", "bob", "eve"] * count) for count in (10, 5))
    many = tuple(sorted(f"{letter}\n\u202e" for letter in "defghijk"))
    named = {split: replace(videos, labels=np.array([f"{label}\n" for label in videos.labels])) for split, videos in
             (("train", train), ("test", test))}  # fmt: skip
    table = np.ones((15, 8)) / 8
    foreign = replace(named["test"], probabilities={"rgb": table}, classes=many)
    result = evaluate_features({"train": named["train"], "test": foreign}, "co\ncon")
    assert "\n" not in result.not_judged
    assert "\u202e" not in result.not_judged


def test_a_classifier_may_know_more_classes_than_the_videos_have() -> None:
    train, test = (_two_views("abc" * count, ["ann", "bob", "eve"] * count) for count in (10, 2))
    table = np.tile([0.1, 0.2, 0.4, 0.3], (6, 1))
    known = replace(test, probabilities={"rgb": table, "pose": table}, classes=("a", "b", "bb", "c"))
    result = evaluate_features({"train": train, "test": known}, "cocon")
    assert result.labels == ("a", "b", "c")
    assert result.by_classifier is not None
    assert result.by_classifier.labels == ("a", "b", "bb", "c")
    assert result.by_classifier.predicted["ensemble"].tolist() == ["bb"] * 6  # as it says where it is served
    assert result.by_classifier.confusion["rgb"].tolist() == [[0] * 3] * 3
    assert [row.recall for row in result.by_classifier.per_class["rgb"]] == [0, 0, 0]
    row = result.metrics[0]
    assert (row.classifier_top1, row.classifier_top5) == (0, 100)
    assert row.chance["classifier_top1"] == 25
    assert row.chance["probe_top1"] == pytest.approx(100 / 3)


def test_what_is_compared_between_methods_is_the_probe_even_where_one_has_a_classifier() -> None:
    train, test = (_two_views("abc" * count, ["ann", "bob", "eve"] * count) for count in (10, 4))
    wrong = np.tile([1.0, 0.0, 0.0], (12, 1))
    known = replace(test, probabilities={"rgb": wrong, "pose": wrong}, classes=("a", "b", "c"))
    result = evaluate_features({"train": train, "test": known}, "cocon")
    plain = evaluate_features({"train": train, "test": test}, "random")
    assert result.by_probe.predicted["rgb"].tolist() == plain.by_probe.predicted["rgb"].tolist() == list("abc" * 4)
    assert result.by_classifier is not None
    assert result.by_classifier.predicted["rgb"].tolist() == ["a"] * 12


def test_training_videos_of_which_one_class_is_left_are_refused() -> None:
    videos = _features(np.eye(3, dtype=np.float32), "aaa")
    with pytest.raises(UsageError, match="training videos that could be read are all of class 'a'"):
        evaluate_features({"train": videos, "test": videos}, "cocon")
