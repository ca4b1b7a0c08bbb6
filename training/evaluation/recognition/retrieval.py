"""Video retrieval: is a video of the same class among a query's nearest neighbours?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["KS", "centred", "recall_at_k"]

KS = (1, 5, 10, 20, 50)


def recall_at_k(
    nearest: NDArray[np.int64],
    query_labels: NDArray[np.str_],
    gallery_labels: NDArray[np.str_],
    *,
    ks: Sequence[int] = KS,
) -> dict[int, float]:
    """Share of queries with at least one video of their class among the k most similar ones of the gallery.

    The literature calls this hit rate R@k.

    Args:
        nearest: positions in the gallery, best first, as `nearest_neighbours` finds them, `int64 [Q, ≥ max(ks)]`, or of
            the whole gallery.
        query_labels: `str [Q]`.
        gallery_labels: `str [G]`.
        ks: numbers of neighbours to look at; one beyond the gallery looks at all of it.

    Returns:
        k → share in 0..1.
    """
    is_hit = gallery_labels[nearest] == query_labels[:, None]  # [Q, max k]
    return {k: float(is_hit[:, :k].any(axis=1).mean()) for k in ks}


def centred(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings of one set `float32 [V, D]` without their mean, of unit length again (as CoCLR and ViCC retrieve).

    A video that is exactly the mean, as the only one of its set is, stays as it is.
    """
    moved = embeddings - embeddings.mean(axis=0)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.divide(moved, lengths, out=embeddings.copy(), where=lengths > 0)
