"""Nearest neighbours among unit vectors, and what their labels say of a query."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["label_vote", "nearest_neighbours"]


def nearest_neighbours(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k most similar vectors of a gallery, best first; of equal ones the earlier first.

    Args:
        queries: unit vectors, `float32 [Q, D]`.
        gallery: unit vectors, `float32 [G, D]`.
        k: how many; all of them where the gallery has fewer.

    Returns:
        Cosines `float32 [Q, min(k, G)]` and positions in the gallery, `int64` of the same shape.
    """
    cosines = queries @ gallery.T  # [Q, G]
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]  # [Q, k]
    return np.take_along_axis(cosines, nearest, axis=1), nearest


def label_vote(
    cosines: NDArray[np.float32], labels: NDArray[np.str_], classes: Sequence[str], *, temperature: float = 0.07
) -> NDArray[np.float64]:
    """Class shares among neighbours, each weighted by exp(cosine / temperature) (Wu et al., CVPR 2018, section 3.4).

    Args:
        cosines: similarity of each query's neighbours, `float [Q, k]`, k ≥ 1.
        labels: their classes, `str [Q, k]`.
        classes: K class names; a neighbour of another class has no vote.
        temperature: how much more a nearer neighbour counts; Wu et al. take 0.07.

    Returns:
        `float64 [Q, K]`; rows sum to 1 where all neighbours are of the named classes.
    """
    scaled = cosines.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))  # [Q, k]
    weights /= weights.sum(axis=1, keepdims=True)
    votes = [np.where(labels == name, weights, 0.0).sum(axis=1) for name in classes]
    return np.stack(votes, axis=1)  # [Q, K]
