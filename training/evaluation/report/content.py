"""Where test videos lie on a map, and which of their classes are confused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.fusion import fuse_embeddings
from cocon.training.evaluation.recognition.features import VideoFeatures

__all__ = ["ConfusedPair", "Projection", "confused_pairs", "projections"]

# Maps of more videos become blots, and take minutes.
_MAX_MAPPED = 2000
_PERPLEXITY = 30.0
_SEED = 0


@dataclass(frozen=True, slots=True)
class Projection:
    """Test videos in the plane.

    Attributes:
        views: whose embeddings were fused.
        points: t-SNE, `float32 [M, 2]`.
        labels: class of each, `str [M]`.
        silhouette: mean silhouette of the classes in the embedding space, by cosine distance, -1..1; None where it has
            no meaning, with one class or one video per class.
    """

    views: tuple[str, ...]
    points: NDArray[np.float32]
    labels: NDArray[np.str_]
    silhouette: float | None


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Videos of one class that were taken for another.

    Attributes:
        truth: their class.
        predicted: what they were taken for.
        count: how many.
        share: of the videos of their class, in 0..1.
    """

    truth: str
    predicted: str
    count: int
    share: float


def projections(test: VideoFeatures) -> list[Projection]:
    """A map of the videos by their first view, by the first two fused, and so on to all of them.

    Two thousand videos are mapped at most, evenly spread over the set.
    """
    num_videos = len(test.labels)
    kept = np.unique(np.linspace(0, num_videos - 1, min(num_videos, _MAX_MAPPED)).round().astype(np.int64))
    labels = test.labels[kept]
    views = tuple(test.embeddings)
    found = []
    for count in range(1, len(views) + 1):
        fused = fuse_embeddings({view: test.embeddings[view][kept] for view in views[:count]})  # [M, Σ D]
        found.append(Projection(views[:count], _t_sne(fused), labels, _silhouette(fused, labels)))
    return found


def confused_pairs(counts: NDArray[np.int64], classes: Sequence[str], *, most: int) -> list[ConfusedPair]:
    """The pairs of classes that are confused most often, the larger share first among equals.

    Args:
        counts: videos of the row's class taken for the column's, `int64 [K, K]`.
        classes: names of the K classes.
        most: how many pairs at most.
    """
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    pairs = [
        ConfusedPair(classes[row], classes[column], int(counts[row, column]), float(shares[row, column]))
        for row, column in np.argwhere(counts > 0)
        if row != column
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.truth, pair.predicted))[:most]


def _t_sne(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Place vectors `float32 [M, D]` in the plane, `float32 [M, 2]`; always the same way."""
    from sklearn.manifold import TSNE

    num_videos = len(vectors)
    if num_videos < 3:  # any two points lie on a line
        return np.stack([np.arange(num_videos), np.zeros(num_videos)], axis=1).astype(np.float32)
    perplexity = min(_PERPLEXITY, (num_videos - 1) / 3)
    # Vectors that are all the same have no principal axes to begin with.
    init = "pca" if min(vectors.shape) >= 2 and float(np.ptp(vectors, axis=0).max()) > 1e-6 else "random"
    placed = TSNE(perplexity=perplexity, init=init, random_state=_SEED).fit_transform(vectors)
    return np.asarray(placed, np.float32)


def _silhouette(vectors: NDArray[np.float32], labels: NDArray[np.str_]) -> float | None:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    return float(silhouette_score(vectors, labels, metric="cosine"))
