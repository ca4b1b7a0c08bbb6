"""Soft alignment of two videos: which moments of one look like which moments of the other.

The similarities between the time steps of two videos are what Rai et al. (CoCon, CVPR workshops 2021) show of features
that know the phases of an action: blocks of high similarity are the same phase. The best monotone path through them is
dynamic time warping (Sakoe and Chiba, IEEE TASSP 26, 1978) in its symmetric form without slope constraint.

    similarities = block_similarities(first, second)             # float32 [Na, Nb]
    path = best_monotone_path(double_centred(similarities))      # int64 [L, 2]
    path_score(similarities, path)                               # mean cosine along it
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.fusion import softmax
from cocon.embedding.neighbours import unit_vectors

__all__ = [
    "alignment_scores",
    "best_monotone_path",
    "block_similarities",
    "double_centred",
    "path_score",
    "phase_bounds",
    "soft_alignment",
]

Float = TypeVar("Float", bound=np.floating[Any])

# Steps of a path, as bytes in the table of the ways back.
_DIAGONAL, _DOWN, _RIGHT = 0, 1, 2


def block_similarities(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines between all blocks of two videos.

    Args:
        first: `float32 [Na, D]`, of any length but 0.
        second: `float32 [Nb, D]`, likewise.

    Returns:
        `float32 [Na, Nb]`, from -1 to 1.

    Raises:
        ValueError: the dimensions differ, or there are no blocks.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not (len(first) and len(second)):
        raise ValueError(f"blocks must be [Na, D] and [Nb, D], are {list(first.shape)} and {list(second.shape)}")
    cosines = unit_vectors(first) @ unit_vectors(second).T
    return np.clip(cosines, -1.0, 1.0).astype(np.float32)  # rounding may pass 1


def soft_alignment(similarities: NDArray[np.float32], temperature: float = 0.1) -> NDArray[np.float32]:
    """How each moment of the first video spreads over the moments of the second: a softmax of every row.

    Args:
        similarities: `float32 [Na, Nb]`.
        temperature: positive; near 0 only the most similar moment counts, the larger, the more alike all are.

    Returns:
        `float32 [Na, Nb]`, rows sum to 1.

    Raises:
        ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature ({temperature}) must be positive")
    return softmax(similarities / np.float32(temperature))


def double_centred(similarities: NDArray[Float]) -> NDArray[Float]:
    """Similarities without what a moment has in common with the whole other video: all rows and columns have mean 0.

    Some moments are like everything; a path through plain cosines waits at them for most of the other video. This is
    the product of the blocks after the mean block of either video was taken from them.

    Args:
        similarities: `float [..., Na, Nb]`.

    Returns:
        Likewise.
    """
    rows, columns = similarities.mean(axis=-1, keepdims=True), similarities.mean(axis=-2, keepdims=True)
    return np.asarray(
        similarities - rows - columns + similarities.mean(axis=(-2, -1), keepdims=True), similarities.dtype
    )


def best_monotone_path(similarities: NDArray[np.float32]) -> NDArray[np.int64]:
    """The path from the beginning of both videos to their end, never back, along which they are most alike.

    A step goes on by one block in the first video, in the second, or in both. As in Sakoe and Chiba's symmetric form,
    a block pair weighs as many blocks as the step to it goes on by: 2 after a diagonal step (and for the first pair),
    1 otherwise. So all paths weigh Na + Nb, the best sum is the best mean, and neither a detour (more pairs to sum up)
    nor a shortcut (fewer pairs to lower the mean) pays. Of equally good paths, the more diagonal one is taken.

    Args:
        similarities: `float32 [Na, Nb]`, finite.

    Returns:
        Pairs of blocks, `int64 [L, 2]`, from (0, 0) to (Na - 1, Nb - 1), max(Na, Nb) ≤ L < Na + Nb.

    Raises:
        ValueError: there are no blocks, or numbers that are not finite.
    """
    if similarities.ndim != 2 or 0 in similarities.shape or not np.isfinite(similarities).all():
        raise ValueError(f"similarities {list(similarities.shape)} must be a finite matrix [Na, Nb], not empty")
    steps = np.empty((*similarities.shape, 1), np.uint8)
    _best_sums(similarities[..., None], similarities[..., None], steps)
    row, column = (side - 1 for side in similarities.shape)
    path = [(row, column)]
    while row or column:
        step = steps[row, column, 0]
        row, column = row - (step != _RIGHT), column - (step != _DOWN)
        path.append((row, column))
    return np.array(path[::-1], np.int64)


def path_score(similarities: NDArray[np.float32], path: NDArray[np.int64]) -> float:
    """Mean similarity along a path, weighed as in `best_monotone_path`.

    Args:
        similarities: `float32 [Na, Nb]`.
        path: `int64 [L, 2]`, or a part of one, which is then weighed as if it began there.
    """
    weights = np.append(2, np.diff(path, axis=0).sum(axis=1))
    return float(np.average(similarities[path[:, 0], path[:, 1]], weights=weights))


def alignment_scores(similarities: NDArray[Float]) -> NDArray[np.float64]:
    """How well a video aligns with each of many: `path_score` along the best path through double centred similarities.

    Args:
        similarities: `float [C, Na, Nb]`, finite; only C may be 0.

    Returns:
        `float64 [C]`.
    """
    _, num_rows, num_columns = similarities.shape
    centred, plain = (np.moveaxis(each, 0, -1) for each in (double_centred(similarities), similarities))
    return _best_sums(centred, plain) / (num_rows + num_columns)


def phase_bounds(
    first: NDArray[np.float32], second: NDArray[np.float32], path: NDArray[np.int64], num_phases: int
) -> NDArray[np.int64]:
    """Cut a path into phases: the parts within which both videos change least.

    Exact least-squares partition of the sequence of block pairs (Fisher, JASA 53, 1958), by dynamic programming. No
    phase is shorter than a third of the mean one, or single odd blocks would be phases of their own, and none longer
    than two of it, or repeated movements would be one phase.

    Args:
        first: unit length, `float32 [Na, D]`.
        second: unit length, `float32 [Nb, D]`.
        path: `int64 [L, 2]`.
        num_phases: P, at least 1; there are L if that is fewer.

    Returns:
        Where each phase begins, and the end: `int64 [P + 1]`, from 0 to L.
    """
    num_phases = min(num_phases, len(path))
    shortest, longest = max(1, len(path) // (3 * num_phases)), -(-2 * len(path) // num_phases)
    costs = _scatter(first[path[:, 0]], second[path[:, 1]])  # [L + 1, L + 1]
    begins, ends = np.indices(costs.shape, sparse=True)
    costs[(ends - begins < shortest) | (ends - begins > longest)] = np.inf
    best, ways = costs[0], []
    for _ in range(1, num_phases):
        totals = best[:, None] + costs
        ways.append(totals.argmin(axis=0))
        best = totals.min(axis=0)
    bounds = [len(path)]
    for way in reversed(ways):
        bounds.append(int(way[bounds[-1]]))
    return np.array([0, *bounds[::-1]], np.int64)


def _best_sums(
    similarities: NDArray[Float], values: NDArray[Float], steps: NDArray[np.uint8] | None = None
) -> NDArray[np.float64]:
    """Weighted sums of values along the best paths, one anti-diagonal of all matrices at a time.

    Args:
        similarities: what the paths are best by, `float [Na, Nb, C]`.
        values: what is summed up, likewise.
        steps: takes the last step of the best path to each pair of blocks, `uint8 [Na, Nb, C]`.

    Returns:
        `float64 [C]`.
    """
    num_rows, num_columns, count = similarities.shape
    both = np.stack([similarities, values], axis=2)  # [Na, Nb, 2, C]
    # Both sums of the best paths on the last two anti-diagonals, by row + 1: row -1 stands for what lies outside.
    before = np.full((num_rows + 1, 2, count), -np.inf)
    last = before.copy()
    before[0] = 0.0  # the first pair is reached by a diagonal step from nowhere
    for diagonal in range(num_rows + num_columns - 1):
        first, end = max(0, diagonal - num_columns + 1), min(diagonal, num_rows - 1) + 1
        rows = np.arange(first, end)
        here = both[rows, diagonal - rows].astype(np.float64)  # [rows, 2, C]
        ahead, down, right = before[first:end] + 2 * here, last[first:end] + here, last[first + 1 : end + 1] + here
        is_down = down[:, :1] >= right[:, :1]
        aside = np.where(is_down, down, right)
        is_ahead = ahead[:, :1] >= aside[:, :1]
        if steps is not None:
            steps[rows, diagonal - rows] = np.where(is_ahead, _DIAGONAL, np.where(is_down, _DOWN, _RIGHT))[:, 0]
        before, last = last, np.full((num_rows + 1, 2, count), -np.inf)
        last[first + 1 : end + 1] = np.where(is_ahead, ahead, aside)
    sums: NDArray[np.float64] = last[-1, 1]
    return sums


def _scatter(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared distances of pairs i … j - 1 from their mean, summed: `float64 [L + 1, L + 1]`, 0 where i ≥ j."""
    length = len(first)
    products = (first @ first.T + second @ second.T).astype(np.float64)
    sums = np.zeros((length + 1, length + 1))
    sums[1:, 1:] = products.cumsum(axis=0).cumsum(axis=1)
    squares = np.concatenate([[0.0], np.diagonal(products).cumsum()])
    corners = np.diagonal(sums)
    within = corners[None] + corners[:, None] - sums - sums.T  # sums of products over all pairs of i … j - 1
    counts = np.arange(length + 1) - np.arange(length + 1)[:, None]
    return np.where(counts > 0, squares - squares[:, None] - within / np.maximum(counts, 1), 0.0)
