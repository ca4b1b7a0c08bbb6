"""Which few vectors stand for many: greedy facility location, so that a beginning of the answer is one for fewer.

Every vector is stood for by the chosen one that is most like it; each choice is the one that adds most to the sum of
these likenesses (Nemhauser, Wolsey and Fisher, 1978: at least 63 % of the best). How far a vector reaches is measured
on the vectors: twice as far as the fifth nearest is.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.neighbours import nearest_neighbours
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["standing_for_most", "stood_for"]

# Vectors that are compared with each other: 64 MiB of likenesses.
_MAX_COMPARED = 1 << 12
_SEED = 0
_NEIGHBOUR, _REACH = 5, 2.0
_LEAST_REACH = 1e-6  # where vectors are copies of each other


def standing_for_most(
    vectors: NDArray[np.float32],
    chosen: NDArray[np.int64],
    candidates: NDArray[np.int64],
    weights: NDArray[np.float64] | None = None,
) -> Iterator[int]:
    """Candidates in the order in which they add most to those that are chosen already.

    Args:
        vectors: Unit length, `float32 [V, D]`; of many thousands, some are stood for.
        chosen: Positions of these, `int64 [c]`.
        candidates: Positions, rising, `int64 [n]`; of many thousands, some take part.
        weights: How much it counts that a vector is stood for, `float64 [V]`; the same of all unless given.

    Yields:
        A position.
    """
    if not len(candidates):
        return
    seen = sample_of(np.arange(len(vectors)), _MAX_COMPARED, seed=_SEED)
    candidates = sample_of(candidates, _MAX_COMPARED, seed=_SEED)
    counts = np.ones(len(seen), np.float32) if weights is None else weights[seen].astype(np.float32)
    reach = _reach(vectors[seen])
    likeness = np.exp((vectors[candidates] @ vectors[seen].T - 1) / reach)  # [n, s]
    best = np.zeros(len(seen), np.float32)
    for position in chosen.tolist():
        np.maximum(best, np.exp((vectors[seen] @ vectors[position] - 1) / reach), out=best)
    is_left = np.ones(len(candidates), np.bool_)
    for _ in range(len(candidates)):
        gains = np.maximum(likeness - best, 0) @ counts
        place = int(np.where(is_left, gains, -1.0).argmax())
        is_left[place] = False
        yield int(candidates[place])
        np.maximum(best, likeness[place], out=best)


def stood_for(vectors: NDArray[np.float32], chosen: NDArray[np.int64], added: Sequence[int]) -> NDArray[np.int64]:
    """How many other vectors each of some is the most like, of these and those that were chosen before: `int64 [a]`.

    Args:
        vectors: Unit length, `float32 [V, D]`.
        chosen: Positions of those before, `int64 [c]`.
        added: Positions, a of them.
    """
    standing = np.concatenate([np.array(added, np.int64), chosen])
    _, nearest = nearest_neighbours(vectors, vectors[standing], 1)
    nearest[standing, 0] = np.arange(len(standing))  # itself, also beside copies
    return np.bincount(nearest[:, 0], minlength=len(standing))[: len(added)] - 1


def _reach(vectors: NDArray[np.float32]) -> np.float32:
    """How far a vector reaches, in 1 - cosine."""
    rank = min(_NEIGHBOUR, len(vectors) - 1)
    nearest = -np.partition(-(vectors @ vectors.T), rank, axis=1)[:, rank]  # the first is itself
    return np.float32(max(_REACH * float(np.median(1 - nearest)), _LEAST_REACH))
