"""Retrieval to look at: some test videos and the training videos that are most like them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.neighbours import nearest_neighbours
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.video.store.dataset import VideoEntry

__all__ = ["Neighbour", "RetrievalExample", "retrieval_examples"]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training video that was found.

    Attributes:
        entry: the video.
        score: cosine of its embedding and the query's.
        is_same_class: whether it is what was looked for.
    """

    entry: VideoEntry
    score: float
    is_same_class: bool


@dataclass(frozen=True, slots=True)
class RetrievalExample:
    """A test video and its nearest training videos.

    Attributes:
        query: the test video.
        neighbours: nearest first.
    """

    query: VideoEntry
    neighbours: tuple[Neighbour, ...]

    @property
    def num_right(self) -> int:
        """Neighbours of the query's class, for the page."""
        return sum(neighbour.is_same_class for neighbour in self.neighbours)


def retrieval_examples(
    train: VideoFeatures,
    test: VideoFeatures,
    gallery: NDArray[np.float32],
    queries: NDArray[np.float32],
    *,
    num_examples: int = 8,
    num_neighbours: int = 5,
) -> list[RetrievalExample]:
    """Test videos of different classes, right and wrong by turns where both are to be had.

    Args:
        train: the training videos.
        test: the test videos.
        gallery: embeddings of the training videos, unit vectors `float32 [G, D]`.
        queries: embeddings of the test videos, unit vectors `float32 [Q, D]`.
        num_examples: at most; fewer if there are fewer classes.
        num_neighbours: at most.
    """
    scores, nearest = nearest_neighbours(queries, gallery, num_neighbours)  # [Q, num_neighbours]
    is_hit = train.labels[nearest[:, 0]] == test.labels
    return [
        RetrievalExample(
            test.entries[query],
            tuple(
                Neighbour(train.entries[found], float(score), train.labels[found] == test.labels[query])
                for score, found in zip(scores[query], nearest[query], strict=True)
            ),
        )
        for query in _chosen(test.labels, is_hit, num_examples)
    ]


def _chosen(labels: NDArray[np.str_], is_hit: NDArray[np.bool_], num_examples: int) -> list[int]:
    """One video of each of some classes, evenly spread over the alphabet: by turns the first hit and the first miss."""
    classes = np.unique(labels)
    spread = np.unique(np.linspace(0, len(classes) - 1, min(num_examples, len(classes))).round().astype(np.int64))
    chosen = []
    for turn, label in enumerate(classes[spread]):
        of_class = np.flatnonzero(labels == label)
        wanted = of_class[is_hit[of_class] == (turn % 2 == 0)]
        chosen.append(int(wanted[0] if len(wanted) else of_class[0]))
    return chosen
