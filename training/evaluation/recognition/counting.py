"""Counting: what is right, how sure a share of so few videos is, and what guessing reaches."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DEVIATIONS_OF_95",
    "KS",
    "are_in_top_k",
    "chance_of_recall",
    "hits_at_k",
    "wilson_interval",
]

# Neighbours among which retrieval looks.
KS = (1, 5, 10, 20, 50)
# Standard deviations to either side of the middle of a normal distribution that hold 95 % of it.
DEVIATIONS_OF_95 = 1.959963984540054


def are_in_top_k(probabilities: NDArray[np.float64], targets: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Whether the true class of each video is among the k most probable, of equally probable ones the first.

    Args:
        probabilities: `float64 [U, K]`.
        targets: `int64 [U]`.
        k: how many count.

    Returns:
        `bool [U]`.
    """
    most_probable = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]  # [U, k]
    return np.asarray((most_probable == targets[:, None]).any(axis=1))


def hits_at_k(
    nearest: NDArray[np.int64], query_labels: NDArray[np.str_], gallery_labels: NDArray[np.str_], k: int
) -> NDArray[np.bool_]:
    """Whether each query has at least one video of its class among the k most similar ones of the gallery.

    The literature calls the share of those that have one R@k.

    Args:
        nearest: positions in the gallery, best first, as `nearest_neighbours` finds them, `int64 [Q, ≥ k]`, or of the
            whole gallery.
        query_labels: `str [Q]`.
        gallery_labels: `str [G]`.
        k: number of neighbours to look at; one beyond the gallery looks at all of it.

    Returns:
        `bool [Q]`.
    """
    return np.asarray((gallery_labels[nearest[:, :k]] == query_labels[:, None]).any(axis=1))


def wilson_interval(per_cent: float, count: int) -> tuple[float, float]:
    """95 % interval of a share in per cent of `count` trials, at least 1 (Wilson, JASA 22, 1927); also of 0 and 100."""
    share, square = per_cent / 100.0, DEVIATIONS_OF_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = DEVIATIONS_OF_95 / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return 100.0 * max(0.0, middle - half), 100.0 * min(1.0, middle + half)


def chance_of_recall(query_labels: NDArray[np.str_], gallery_labels: NDArray[np.str_], k: int) -> float:
    """R@k in per cent of a gallery in random order.

    Args:
        query_labels: `str [Q]`.
        gallery_labels: `str [G]`.
        k: videos that are looked at.
    """
    size = len(gallery_labels)
    k = min(k, size)
    names, queries = np.unique(query_labels, return_counts=True)
    others = [size - int((gallery_labels == name).sum()) for name in names]
    misses = [math.comb(count, k) / math.comb(size, k) for count in others]
    return 100.0 * float(1.0 - np.average(misses, weights=queries))
