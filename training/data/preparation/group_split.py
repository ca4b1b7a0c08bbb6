"""Which groups of videos are for training, validation and testing: the same share of every class, no group torn.

    split_of = split_groups(["jump", "jump", "run"], ["ann", "bob", "ann"], {"test": 0.5}, seed=0)
    split_of["bob"]     # "test" or "train"

The folds of scikit-learn's `StratifiedGroupKFold` are of equal size, so that they meet a share such as 0.3 only where
there are many groups, and leave classes of few videos to chance. Here each group goes where it brings the classes
nearest to the share that is asked for, and moves on as long as that gains anything.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["TRAIN", "split_groups"]

TRAIN = "train"

# Each round moves a group to where it gains most; it ends long before where nothing is gained.
_MAX_ROUNDS = 20
_LEAST_GAIN = 1e-9


def split_groups(
    labels: Sequence[str], groups: Sequence[str], shares: Mapping[str, float], *, seed: int
) -> dict[str, str]:
    """Give every group a split.

    Args:
        labels: class of each video; empty for one without, which is counted with no class.
        groups: of each video.
        shares: split → share of the videos of each class, from 0 to below 1; what is left is `TRAIN`'s.
        seed: of the order in which groups of one size are taken.

    Returns:
        Group → split. At least one group with a video of each class is in `TRAIN`.
    """
    names = sorted(set(groups))
    counts = _counts(labels, groups, names)  # [G, K]
    splits = [TRAIN, *shares]
    wanted = np.array([1 - sum(shares.values()), *shares.values()])[:, None] * counts.sum(axis=0)  # [S, K]
    weights = 1 / np.maximum(1, counts.sum(axis=0))  # [K]: a small class counts as much as a large one
    chosen = _assigned(counts, wanted, weights, seed)
    _keep_every_class(counts, chosen)
    return {name: splits[split] for name, split in zip(names, chosen, strict=True)}


def _counts(labels: Sequence[str], groups: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
    """Videos of each class in each group, `float64 [G, K]`."""
    classes = {label: column for column, label in enumerate(sorted(set(labels) - {""}))}
    rows = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), len(classes)))
    for label, group in zip(labels, groups, strict=True):
        if label:
            counts[rows[group], classes[label]] += 1
    return counts


def _assigned(
    counts: NDArray[np.float64], wanted: NDArray[np.float64], weights: NDArray[np.float64], seed: int
) -> NDArray[np.int64]:
    """Split of each group, `int64 [G]`: the largest first, each to where it brings the sums nearest to `wanted`."""
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    chosen = np.full(len(counts), -1)
    missing = wanted.copy()  # [S, K]
    for _ in range(_MAX_ROUNDS):
        has_moved = False
        for group in order:
            before = chosen[group]
            if before >= 0:
                missing[before] += counts[group]
            costs = ((missing - counts[group]) ** 2 - missing**2) @ weights  # [S]
            best = int(costs.argmin())
            if before >= 0 and costs[before] - costs[best] <= _LEAST_GAIN:
                best = int(before)
            missing[best] -= counts[group]
            has_moved = has_moved or best != before
            chosen[group] = best
        if not has_moved:
            break
    return chosen


def _keep_every_class(counts: NDArray[np.float64], chosen: NDArray[np.int64]) -> None:
    """Bring the smallest group of a class that training would never see back to it, in place."""
    for column in np.flatnonzero(counts[chosen == 0].sum(axis=0) == 0):
        holding = np.flatnonzero(counts[:, column])
        if not (chosen[holding] == 0).any():
            chosen[holding[counts[holding].sum(axis=1).argmin()]] = 0
