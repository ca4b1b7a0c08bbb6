"""Video retrieval: is a video of the same class among a query's nearest neighbours?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["recall_at_k"]


def recall_at_k(
    queries: NDArray[np.float32],
    query_labels: NDArray[np.str_],
    gallery: NDArray[np.float32],
    gallery_labels: NDArray[np.str_],
    *,
    ks: Sequence[int] = (1, 5, 10, 20),
) -> dict[int, float]:
    """Share of queries with at least one video of their class among the k most similar ones of the gallery.

    The literature calls this hit rate R@k. Embeddings are compared by cosine as they are: nothing is centred.

    Args:
        queries: unit vectors, `float32 [Q, D]`.
        query_labels: `str [Q]`.
        gallery: unit vectors, `float32 [G, D]`.
        gallery_labels: `str [G]`.
        ks: numbers of neighbours to look at.

    Returns:
        k → share in 0..1.
    """
    nearest = np.argsort(-(queries @ gallery.T), axis=1, kind="stable")[:, : max(ks)]  # [Q, max k]
    is_hit = gallery_labels[nearest] == query_labels[:, None]
    return {k: float(is_hit[:, :k].any(axis=1).mean()) for k in ks}
