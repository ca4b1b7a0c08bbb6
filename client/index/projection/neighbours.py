"""The nearest of many vectors to each of many others, fast enough to draw a hundred thousand of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.progress import OnProgress, no_progress
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["NearestVectors", "nearest"]

# Up to so many every pair is compared; more are put into √n lists, of which a question reads so many.
_MAX_COMPARED = 20_000
_NUM_PROBED = 16
_TRAINING_PER_LIST = 40
_PIECE = 1 << 13
_SEED = 20_260_801


@dataclass(frozen=True, slots=True, eq=False)
class NearestVectors:
    """Of n vectors the K nearest among others, the nearest first.

    Attributes:
        rows: Which, `int64 [n, K]`.
        distances: Euclidean, `float32 [n, K]`.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float32] = field(repr=False)

    def without_selves(self) -> "NearestVectors":
        """Where the vectors are the others: without each itself, K - 1 of them."""
        are_own = self.rows == np.arange(len(self.rows))[:, None]
        are_own[~are_own.any(axis=1), -1] = True  # copies came before it
        shape = len(self.rows), self.rows.shape[1] - 1
        return NearestVectors(self.rows[~are_own].reshape(shape), self.distances[~are_own].reshape(shape))


def nearest(
    vectors: NDArray[np.float32],
    asked: NDArray[np.float32],
    count: int,
    *,
    on_progress: OnProgress = no_progress,
) -> NearestVectors:
    """The nearest vectors to those that are asked for; of very many almost all of them.

    Args:
        vectors: Among which they are looked for, at least `count`: `float32 [n, D]`.
        asked: `float32 [m, D]`.
        count: How many for each.
        on_progress: Called with how many of m are done.
    """
    index = _index_of(vectors)
    rows = np.empty((len(asked), count), np.int64)
    squares = np.empty((len(asked), count), np.float32)
    for begin in range(0, len(asked), _PIECE):
        part = slice(begin, begin + _PIECE)
        squares[part], rows[part] = index.search(asked[part], count)
        on_progress(min(begin + _PIECE, len(asked)), len(asked))
    lacking = np.flatnonzero(rows[:, -1] < 0)  # their lists hold fewer
    if len(lacking):
        index.nprobe = index.nlist
        squares[lacking], rows[lacking] = index.search(asked[lacking], count)
    return NearestVectors(rows, np.sqrt(np.maximum(squares, 0)))


def _index_of(vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401  # faiss is untyped
    import faiss

    dim = vectors.shape[1]
    if len(vectors) <= _MAX_COMPARED:
        index = faiss.IndexFlatL2(dim)
    else:
        num_lists = round(len(vectors) ** 0.5)
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, num_lists)
        index.cp.seed = _SEED
        index.nprobe = _NUM_PROBED
        index.train(vectors[sample_of(np.arange(len(vectors)), _TRAINING_PER_LIST * num_lists, seed=_SEED)])
    index.add(vectors)
    return index
