"""The linear probe: perfect where classes are apart, chance where they are not, and groups stay together."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from cocon.training.evaluation import probe
from cocon.training.evaluation.probe import linear_probe

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
    probabilities = linear_probe(train, train_labels, _alone(80), test)
    assert probabilities.shape == (100, 4)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(100))
    assert _accuracy(probabilities, test_labels) >= 0.99


def test_shuffled_labels_give_chance() -> None:
    (train, train_labels), (test, test_labels) = _separable(20, 0), _separable(50, 1)
    shuffled = np.random.default_rng(2).permutation(train_labels)
    assert _accuracy(linear_probe(train, shuffled, _alone(80), test), test_labels) < 0.5


def test_one_group_is_enough() -> None:
    (train, train_labels), (test, test_labels) = _separable(5, 0), _separable(5, 1)
    one_group = np.full(20, "ann")
    assert _accuracy(linear_probe(train, train_labels, one_group, test), test_labels) >= 0.95


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
    linear_probe(train, labels, groups, train)
    assert sorted(sorted(left_out) for _, left_out in parts) == [["ann"], ["bob"], ["eve"]]
    assert all(not kept & left_out for kept, left_out in parts)
