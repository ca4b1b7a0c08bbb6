"""Groups of like videos, found by k-means without any label: what lies on this disk, and what to label at once.

for cluster in clusters_of(index, 12):
    print(cluster.number, len(cluster.video_ids), cluster.typical[0].video)
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.answers.all_vectors import StoredMeans
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.records import IndexedVideo
from cocon.core.errors import UsageError

__all__ = ["Cluster", "HasVideoVectors", "clusters_of", "k_means"]

_SEED = 0
_ITERATIONS = 25
# Of which the best is taken; more than enough where groups are few.
_TRIALS = 4
# Videos of each group that the groups are learned from, as FAISS has it.
_MAX_PER_CLUSTER = 256


class HasVideoVectors(Protocol):
    """An index, whatever keeps it."""

    def video_vectors(self, filters: Filters = NO_FILTERS) -> StoredMeans:
        """The mean vector of every content that has a place which meets filters."""
        ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of like videos.

    Attributes:
        number: From 1, the largest first.
        video_ids: Of its contents, the most typical first.
        typical: The first of them.
        label_counts: Label → how many of them have it.
    """

    number: int
    video_ids: tuple[int, ...] = field(repr=False)
    typical: tuple[IndexedVideo, ...]
    label_counts: Mapping[str, int]

    def row(self) -> dict[str, object]:
        """The fields by name, for JSON."""
        return asdict(self) | {"typical": [video.row() for video in self.typical]}


def clusters_of(
    index: HasVideoVectors, count: int, filters: Filters = NO_FILTERS, *, num_typical: int = 5
) -> list[Cluster]:
    """Groups of the videos of an index; the same for the same videos.

    Args:
        index: Of them.
        count: Groups at most, at least 1; there are fewer where there are fewer videos that differ.
        filters: What videos must meet.
        num_typical: Most videos that are told of each: those nearest to its centre.

    Raises:
        UsageError: The index does not exist, or a number is out of range.
    """
    if count < 1 or num_typical < 1:
        raise UsageError(f"number of clusters ({count}) and of typical videos ({num_typical}) must be at least 1")
    stored = index.video_vectors(filters)
    if not len(stored):
        return []
    centres, codes = k_means(stored.vectors, count)
    likeness = np.einsum("vd,vd->v", stored.vectors, centres[codes])
    groups = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    groups.sort(key=lambda group: (-len(group), group[0]))
    return [
        _cluster(number, stored.videos, group[np.argsort(-likeness[group], kind="stable")], num_typical)
        for number, group in enumerate(groups, start=1)
    ]


def k_means(vectors: NDArray[np.float32], count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Spherical k-means of unit vectors, by FAISS, with a fixed seed.

    Args:
        vectors: `float32 [V, D]`, V ≥ 1.
        count: Centres at most.

    Returns:
        Centres of unit length, `float32 [k, D]`, and the nearest one of each vector, `int64 [V]`; of equal ones the
        first.
    """
    import faiss

    count = min(count, len(np.unique(vectors, axis=0)))
    learner = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ITERATIONS,
        nredo=_TRIALS,
        seed=_SEED,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_MAX_PER_CLUSTER,
    )
    learner.train(np.ascontiguousarray(vectors))
    _, nearest = learner.index.search(np.ascontiguousarray(vectors), 1)
    return learner.centroids, nearest[:, 0].astype(np.int64)


def _cluster(number: int, videos: Sequence[IndexedVideo], order: NDArray[np.int64], num_typical: int) -> Cluster:
    ordered = [videos[place] for place in order.tolist()]
    counts = Counter(video.label for video in ordered if video.label)
    return Cluster(
        number, tuple(video.video_id for video in ordered), tuple(ordered[:num_typical]), dict(counts.most_common())
    )
