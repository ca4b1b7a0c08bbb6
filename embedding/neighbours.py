"""Unit vectors, the nearest neighbours among them, and what their labels say of a query."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "label_vote",
    "largest_columns",
    "nearest_by_best_moment",
    "nearest_neighbours",
    "query_chunks",
    "unit_vectors",
]

# Cosines that are held at a time: 16 MiB of float32, and a few times as much while the best are chosen.
_MAX_COSINES = 1 << 22
# Cosines that agree to the precision of float32 are equal: which is larger is chance.
_DECIMALS = 6


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors `float32 [..., D]` brought to unit length; those of length 0 stay as they are."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)


def nearest_neighbours(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k most similar vectors of a gallery, best first; of equal ones the earlier first.

    Memory does not grow with Q·G: queries are compared some at a time.

    Args:
        queries: unit vectors, `float32 [Q, D]`.
        gallery: unit vectors, `float32 [G, D]`.
        k: how many, at least 1; all of them where the gallery has fewer.

    Returns:
        Cosines `float32 [Q, min(k, G)]` and positions in the gallery, `int64` of the same shape.
    """
    k = min(k, len(gallery))
    best = np.empty((len(queries), k), np.float32)
    nearest = np.empty((len(queries), k), np.int64)
    for chunk in query_chunks(len(queries), len(gallery)):
        cosines = queries[chunk] @ gallery.T  # [q, G]
        chosen = largest_columns(cosines, k)
        best[chunk], nearest[chunk] = np.take_along_axis(cosines, chosen, axis=1), chosen
    return best, nearest


def nearest_by_best_moment(
    queries: NDArray[np.float32],
    num_query_clips: NDArray[np.int64],
    gallery: NDArray[np.float32],
    num_gallery_clips: NDArray[np.int64],
    k: int,
) -> NDArray[np.int64]:
    """The k most similar videos of a gallery, best first, where two videos are as alike as their most similar clips.

    Cosines are rounded to six decimals; of equal ones the earlier video is first.

    Args:
        queries: unit vectors of the clips of Q videos, video by video, `float32 [M, D]`.
        num_query_clips: of each video, at least 1, `int64 [Q]`.
        gallery: likewise of G videos, `float32 [L, D]`.
        num_gallery_clips: `int64 [G]`.
        k: how many, at least 1; all of them where the gallery has fewer.

    Returns:
        Positions in the gallery, `int64 [Q, min(k, G)]`.
    """
    k = min(k, len(num_gallery_clips))
    nearest = np.empty((len(num_query_clips), k), np.int64)
    bounds, gallery_begins = np.append(0, np.cumsum(num_query_clips)), np.cumsum(num_gallery_clips) - num_gallery_clips
    for chunk in query_chunks(len(nearest), len(gallery) * int(num_query_clips.max(initial=1))):
        begins = bounds[:-1][chunk]
        end = bounds[begins.size + chunk.start]
        cosines = queries[begins[0] : end] @ gallery.T  # [m, L]
        of_clips = np.maximum.reduceat(cosines, gallery_begins, axis=1)
        of_videos = np.maximum.reduceat(of_clips, begins - begins[0], axis=0)  # [q, G]
        nearest[chunk] = largest_columns(np.round(of_videos, _DECIMALS), k)
    return nearest


def query_chunks(num_queries: int, num_gallery: int) -> Iterator[slice]:
    """Slices of the queries, of as many as may be compared with the whole gallery at once."""
    size = max(1, _MAX_COSINES // max(1, num_gallery))
    return (slice(start, start + size) for start in range(0, num_queries, size))


def label_vote(
    cosines: NDArray[np.float32], labels: NDArray[Any], classes: Sequence[Any], *, temperature: float = 0.07
) -> NDArray[np.float64]:
    """Class shares among neighbours, each weighted by exp(cosine / temperature) (Wu et al., CVPR 2018, section 3.4).

    Args:
        cosines: similarity of each query's neighbours, `float [Q, k]`, k ≥ 1.
        labels: their classes, by name or number, `[Q, k]`.
        classes: K classes; a neighbour of another one has no vote.
        temperature: how much more a nearer neighbour counts; Wu et al. take 0.07.

    Returns:
        `float64 [Q, K]`; rows sum to 1 where all neighbours are of the named classes.
    """
    scaled = cosines.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))  # [Q, k]
    weights /= weights.sum(axis=1, keepdims=True)
    votes = [np.where(labels == name, weights, 0.0).sum(axis=1) for name in classes]
    return np.stack(votes, axis=1)  # [Q, K]


def largest_columns(cosines: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns of the k largest of each row of `float32 [q, G]`, in the order of a full stable sort: `int64 [q, k]`."""
    least = -np.partition(-cosines, k - 1, axis=1)[:, k - 1 : k]  # [q, 1]
    is_above, is_least = cosines > least, cosines == least
    num_free = k - is_above.sum(axis=1, keepdims=True)  # places left for the least, of which the first are taken
    is_chosen = is_above | (is_least & (np.cumsum(is_least, axis=1, dtype=np.int32) <= num_free))
    columns = np.nonzero(is_chosen)[1].reshape(len(cosines), k)
    order = np.argsort(-np.take_along_axis(cosines, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
