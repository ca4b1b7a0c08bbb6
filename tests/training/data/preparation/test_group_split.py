"""Groups are given splits: the same share of every class, no group torn, every class trained."""

from collections import Counter

import numpy as np
import pytest

from cocon.training.data.preparation.group_split import split_groups


def _counts(labels: list[str], groups: list[str], split_of: dict[str, str]) -> dict[str, Counter[str]]:
    found = {label: Counter[str]() for label in labels}
    for label, group in zip(labels, groups, strict=True):
        found[label][split_of[group]] += 1
    return found


def test_videos_by_themselves_meet_the_share_in_every_class() -> None:
    labels = ["jump"] * 10 + ["run"] * 30 + ["rare"] * 3
    groups = [str(number) for number in range(43)]
    found = _counts(labels, groups, split_groups(labels, groups, {"test": 0.3, "val": 0.1}, seed=0))
    assert found["jump"] == {"train": 6, "test": 3, "val": 1}
    assert found["run"] == {"train": 18, "test": 9, "val": 3}
    assert found["rare"] == {"train": 2, "test": 1}


def test_groups_of_several_classes_are_balanced_together() -> None:
    rng = np.random.default_rng(3)
    groups = [f"subject {number % 12}" for number in range(360)]
    labels = [f"class {rng.integers(4)}" for _ in groups]
    split_of = split_groups(labels, groups, {"test": 0.25}, seed=1)
    assert split_of.keys() == set(groups)
    for counts in _counts(labels, groups, split_of).values():
        assert counts["test"] / counts.total() == pytest.approx(0.25, abs=0.08)


def test_the_seed_decides_and_repeats() -> None:
    groups = [str(number) for number in range(40)]
    splits = [split_groups(["a"] * 40, groups, {"test": 0.5}, seed=seed) for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    assert Counter(splits[2].values()) == {"train": 20, "test": 20}


def test_a_class_of_one_group_is_trained() -> None:
    labels, groups = ["a", "a", "b", "b", "b"], ["1", "2", "only", "only", "only"]
    assert split_groups(labels, groups, {"test": 0.9}, seed=0)["only"] == "train"


def test_videos_without_a_label_follow_their_group() -> None:
    labels, groups = ["a"] * 4 + [""] * 3, ["1", "2", "3", "4", "1", "2", "alone"]
    split_of = split_groups(labels, groups, {"test": 0.5}, seed=0)
    assert Counter(split_of[group] for group in "1234") == {"train": 2, "test": 2}
    assert split_of["alone"] == "train"
