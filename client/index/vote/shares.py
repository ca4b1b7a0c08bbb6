"""What neighbours say of a query, as shares of the classes and of what is of none.

The shares of the classes are those of `embedding.neighbours.label_vote`, made more or less unequal: where six of ten
neighbours agree, they may be right in 95 of 100 cases, or in 40. What is of no class has the share of the best class
where that is as similar as strangers are on the border of being known, and the more, the less similar it is.
"""

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.neighbours import label_vote

__all__ = ["best_similarity", "class_shares", "sharpened", "unknown_shares"]

# Of a vote, shared by all classes alike: one that no neighbour has is unlikely, and not impossible.
_FLOOR = 0.01


def class_shares(
    cosines: NDArray[np.float32],
    codes: NDArray[np.int64],
    num_classes: int,
    *,
    temperature: float,
    sharpness: float,
    doubt: float,
) -> NDArray[np.float64]:
    """Shares of the classes alone.

    Args:
        cosines: Similarity of the neighbours, -inf for none, `float32 [n, k]`.
        codes: Their classes, from 0 to K - 1, `int64 [n, k]`.
        num_classes: K, at least 1.
        temperature: Of the vote.
        sharpness: See `sharpened`.
        doubt: Share that is spread over all classes alike in the end.

    Returns:
        `float64 [n, K]`, rows sum to 1; equal shares where a query has no neighbour.
    """
    shares = np.full((len(cosines), num_classes), 1 / num_classes)
    has_any = np.isfinite(cosines).any(axis=1)
    votes = label_vote(cosines[has_any], codes[has_any], range(num_classes), temperature=temperature)
    shares[has_any] = (1 - doubt) * sharpened(votes, num_classes, sharpness=sharpness) + doubt / num_classes
    return shares


def sharpened(votes: NDArray[np.float64], num_classes: int, *, sharpness: float) -> NDArray[np.float64]:
    """Shares in proportion to a power of the votes: temperature scaling (Guo et al., 2017) of their logarithms.

    Args:
        votes: Of M ≤ K classes, the others have none, `float64 [n, M]`.
        num_classes: K.
        sharpness: The power: above 1 the best class gains.

    Returns:
        Shares of the M classes, `float64 [n, M]`.
    """
    powers = ((1 - _FLOOR) * votes + _FLOOR / num_classes) ** sharpness
    others = (num_classes - votes.shape[1]) * (_FLOOR / num_classes) ** sharpness
    return powers / (powers.sum(axis=1, keepdims=True) + others)


def best_similarity(
    cosines: NDArray[np.float32], best: NDArray[np.float64], *, temperature: float
) -> NDArray[np.float64]:
    """How similar the neighbours of the best class are together: as one that had all their weight in the vote.

    Args:
        cosines: As for `class_shares`.
        best: Share of the best class, `float64 [n]`.
        temperature: Of the vote.

    Returns:
        `float64 [n]`; -inf where a query has no neighbour.
    """
    weights = np.logaddexp.reduce(cosines.astype(np.float64) / temperature, axis=1)
    return temperature * (weights + np.log(best))


def unknown_shares(
    best: NDArray[np.float64], similarity: NDArray[np.float64], *, min_similarity: float, temperature: float
) -> NDArray[np.float64]:
    """Share of what is of no class; larger than that of the best class exactly where that is less similar than needed.

    Args:
        best: Share of the best class among the classes, `float64 [n]`.
        similarity: `best_similarity`.
        min_similarity: Needed to be known.
        temperature: How fast the share falls.

    Returns:
        `float64 [n]`.
    """
    odds = np.log(best) + (min_similarity - similarity) / temperature
    return np.exp(-np.logaddexp(0.0, -odds))
