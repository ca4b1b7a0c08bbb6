"""The linear probe: perfect where classes are apart, chance where they are not, and groups stay together."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from cocon.training.evaluation.recognition import probe
from cocon.training.evaluation.recognition.probe import few_label_classes, fit_few_shot, fit_probe

NAMES = np.array(["bow", "jump", "run", "sit"])


def _separable(per_class: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), per_class)
    vectors = np.eye(16, dtype=np.float32)[labels] + 0.1 * rng.normal(size=(len(labels), 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), NAMES[labels]


def _alone(count: int) -> NDArray[np.str_]:
    return np.array([f"video {index}" for index in range(count)])


def _accuracy(probabilities: NDArray[np.float64], labels: NDArray[np.str_]) -> float:
    return float((NAMES[probabilities.argmax(axis=1)] == labels).mean())


def test_separable_classes_are_told_apart() -> None:
    (train, train_labels), (test, test_labels) = _separable(20, 0), _separable(25, 1)
    probabilities = fit_probe(train, train_labels, _alone(80)).probabilities(test)
    assert probabilities.shape == (100, 4)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(100))
    assert _accuracy(probabilities, test_labels) >= 0.99


def test_shuffled_labels_give_chance() -> None:
    (train, train_labels), (test, test_labels) = _separable(20, 0), _separable(50, 1)
    shuffled = np.random.default_rng(2).permutation(train_labels)
    assert _accuracy(fit_probe(train, shuffled, _alone(80)).probabilities(test), test_labels) < 0.5


def test_one_group_is_enough() -> None:
    (train, train_labels), (test, test_labels) = _separable(5, 0), _separable(5, 1)
    one_group = np.full(20, "ann")
    fitted = fit_probe(train, train_labels, one_group)
    assert _accuracy(fitted.probabilities(test), test_labels) >= 0.95
    assert fitted.out_of_fold is None


def test_the_strength_is_chosen_with_groups_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[tuple[set[str], set[str]]] = []

    class Watched(GroupKFold):
        def split(self, X: object, y: object = None, groups: object = None) -> object:
            for kept, left_out in super().split(X, y, groups):
                parts.append((set(np.asarray(groups)[kept]), set(np.asarray(groups)[left_out])))
                yield kept, left_out

    monkeypatch.setattr(probe, "GroupKFold", Watched)
    train, labels = _separable(12, 0)
    groups = np.array(["ann", "bob", "eve"] * 16)
    fit_probe(train, labels, groups)
    assert {tuple(left_out) for _, left_out in parts} == {("ann",), ("bob",), ("eve",)}
    assert all(not kept & left_out for kept, left_out in parts)


def test_out_of_fold_predictions_do_not_know_the_videos_own_group() -> None:
    """Every group has labels of its own, so what was learned elsewhere is always wrong."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.array(["ann", "bob"]), 40)
    labels = np.where(groups == "ann", NAMES[rng.integers(0, 2, 80)], NAMES[rng.integers(2, 4, 80)])
    train = rng.normal(size=(80, 16)).astype(np.float32)
    fitted = fit_probe(train, labels, groups)
    assert fitted.out_of_fold is not None
    assert fitted.out_of_fold.sum(axis=1) == pytest.approx(np.ones(80))
    assert _accuracy(fitted.out_of_fold, labels) == 0
    assert _accuracy(fitted.probabilities(train), labels) > 0.3


def test_a_few_labels_tell_less_than_many_and_are_drawn_alike_each_time() -> None:
    (train, labels), (test, test_labels) = _separable(20, 0), _separable(50, 1)
    train = train + 0.15 * np.random.default_rng(2).normal(size=train.shape).astype(np.float32)
    one, ten = (fit_few_shot(train, labels, test, per_class=k).probabilities for k in (1, 10))
    assert one.shape == (5, 200, 4)
    assert one.sum(axis=2) == pytest.approx(np.ones((5, 200)))
    assert 0.4 < np.mean([_accuracy(table, test_labels) for table in one]) < 0.9
    assert np.mean([_accuracy(table, test_labels) for table in ten]) > 0.9
    assert np.array_equal(one, fit_few_shot(train, labels, test, per_class=1).probabilities)
    assert not np.array_equal(one[0], one[1])


def test_each_known_label_is_left_out_once_where_there_are_others_of_its_class() -> None:
    (train, labels), (test, _) = _separable(20, 0), _separable(5, 1)
    few = fit_few_shot(train, labels, test, per_class=6, num_draws=2)
    assert few.known.shape == (2, 24)
    assert [np.unique(labels[known], return_counts=True)[1].tolist() for known in few.known] == [[6] * 4] * 2
    assert few.out_of_fold is not None
    assert few.out_of_fold.sum(axis=2) == pytest.approx(np.ones((2, 24)))
    noise = np.random.default_rng(0).normal(size=train.shape).astype(np.float32)
    blind = fit_few_shot(noise, labels, test, per_class=6)
    assert blind.out_of_fold is not None
    named = zip(blind.out_of_fold, blind.known, strict=True)
    assert np.mean([_accuracy(table, labels[known]) for table, known in named]) < 0.5  # by whom knows them: 1
    assert fit_few_shot(train, labels, test, per_class=1).out_of_fold is None


def test_a_few_labels_name_what_is_near_them() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(3, 8, dtype=np.float32)
    train, test = (np.repeat(centres, 10, axis=0) + 0.1 * rng.normal(size=(30, 8)).astype(np.float32) for _ in range(2))
    truth = np.repeat(["bow", "kick", "wave"], 10)
    known = np.array([3, 12, 25])
    assert (few_label_classes(train, truth[known].tolist(), known, test) == truth).mean() > 0.9
    assert set(few_label_classes(train, ["kick", "wave"], known[1:], test)) == {"kick", "wave"}
    assert set(few_label_classes(train, ["bow"], known[:1], test)) == {"bow"}
