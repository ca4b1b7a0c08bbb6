"""Video retrieval: is a video of the same class among a query's nearest neighbours?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.neighbours import nearest_neighbours

__all__ = ["centred", "recall_at_k"]


def recall_at_k(
    queries: NDArray[np.float32],
    query_labels: NDArray[np.str_],
    gallery: NDArray[np.float32],
    gallery_labels: NDArray[np.str_],
    *,
    ks: Sequence[int] = (1, 5, 10, 20, 50),
) -> dict[int, float]:
    """Share of queries with at least one video of their class among the k most similar ones of the gallery.

    The literature calls this hit rate R@k. Embeddings are compared by cosine as they are; see `centred`.

    Args:
        queries: unit vectors, `float32 [Q, D]`.
        query_labels: `str [Q]`.
        gallery: unit vectors, `float32 [G, D]`.
        gallery_labels: `str [G]`.
        ks: numbers of neighbours to look at; one beyond the gallery looks at all of it.

    Returns:
        k → share in 0..1.
    """
    _, nearest = nearest_neighbours(queries, gallery, max(ks))  # [Q, max k]
    is_hit = gallery_labels[nearest] == query_labels[:, None]
    return {k: float(is_hit[:, :k].any(axis=1).mean()) for k in ks}


def centred(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings of one set `float32 [V, D]` without their mean, of unit length again (as CoCLR and ViCC retrieve).

    A video that is exactly the mean, as the only one of its set is, stays as it is.
    """
    moved = embeddings - embeddings.mean(axis=0)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.divide(moved, lengths, out=embeddings.copy(), where=lengths > 0)
