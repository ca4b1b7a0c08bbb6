"""Which few vectors stand for many: greedy facility location, so that a beginning of the answer is one for fewer.

Every vector is stood for by the chosen one that is most like it; each choice is the one that adds most to the sum of
these likenesses (Nemhauser, Wolsey and Fisher, 1978: at least 63 % of the best).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.sampling import sample_of

__all__ = ["standing_for_most"]

# Vectors that are compared with each other: 64 MiB of likenesses.
_MAX_COMPARED = 1 << 12
_SEED = 0


def standing_for_most(
    vectors: NDArray[np.float32], chosen: NDArray[np.int64], candidates: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Candidates in the order in which they add most to those that are chosen already.

    Args:
        vectors: Unit length, `float32 [V, D]`.
        chosen: Positions of these, `int64 [c]`.
        candidates: Positions, rising, `int64 [n]`; of many thousands, some take part.

    Yields:
        A position, and how many of the vectors that were compared it is most like of all chosen so far.
    """
    seen = sample_of(np.arange(len(vectors)), _MAX_COMPARED, seed=_SEED)
    candidates = sample_of(candidates, _MAX_COMPARED, seed=_SEED)
    likeness = vectors[candidates] @ vectors[seen].T  # [n, s]
    best = np.full(len(seen), -1.0, np.float32)
    for position in chosen.tolist():
        np.maximum(best, vectors[seen] @ vectors[position], out=best)
    is_left = np.ones(len(candidates), np.bool_)
    for _ in range(len(candidates)):
        gains = np.maximum(likeness - best, 0).sum(axis=1, dtype=np.float64)
        place = int(np.where(is_left, gains, -1.0).argmax())
        is_left[place] = False
        yield int(candidates[place]), int((likeness[place] > best).sum())
        np.maximum(best, likeness[place], out=best)
