"""Retrieval to look at: some test videos and the training videos that are most like them, with a picture of each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import CoconError
from cocon.embedding.neighbours import nearest_neighbours
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.video.decoding.limits import MediaLimits
from cocon.video.pictures.stills import middle_still
from cocon.video.store.dataset import VideoEntry
from cocon.video.workers.pool import WorkerPool

__all__ = ["Neighbour", "Strip", "retrieval_strips", "thumbnails"]

_SIDE_PX = 120
_JPEG_QUALITY = 80


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
class Strip:
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


def retrieval_strips(
    train: VideoFeatures,
    test: VideoFeatures,
    gallery: NDArray[np.float32],
    queries: NDArray[np.float32],
    *,
    num_strips: int = 8,
    num_neighbours: int = 5,
) -> list[Strip]:
    """Strips of test videos of different classes, right and wrong by turns where both are to be had.

    Args:
        train: the training videos.
        test: the test videos.
        gallery: embeddings of the training videos, unit vectors `float32 [G, D]`.
        queries: embeddings of the test videos, unit vectors `float32 [Q, D]`.
        num_strips: at most; fewer if there are fewer classes.
        num_neighbours: at most.
    """
    scores, nearest = nearest_neighbours(queries, gallery, num_neighbours)  # [Q, num_neighbours]
    is_hit = train.labels[nearest[:, 0]] == test.labels
    return [
        Strip(
            test.entries[query],
            tuple(
                Neighbour(train.entries[found], float(score), train.labels[found] == test.labels[query])
                for score, found in zip(scores[query], nearest[query], strict=True)
            ),
        )
        for query in _chosen(test.labels, is_hit, num_strips)
    ]


def thumbnails(videos: Iterable[Path], *, on_progress: Callable[[int, int | None], None]) -> dict[Path, bytes]:
    """Square JPEG of every video's middle frame, decoded in a worker process; one that fails is left out.

    Args:
        videos: the files; from strangers, for all we know.
        on_progress: called with (videos done, videos in all).
    """
    wanted = sorted(set(videos))
    made = {}
    limits = MediaLimits()
    with WorkerPool(limits) as pool:
        for done, video in enumerate(wanted, start=1):
            try:
                still = cv2.cvtColor(middle_still(pool, video, limits, side_px=_SIDE_PX), cv2.COLOR_RGB2BGR)
                made[video] = cv2.imencode(".jpg", still, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
            except CoconError:
                pass  # the page shows a grey tile; evaluation has already named videos that fail
            on_progress(done, len(wanted))
    return made


def _chosen(labels: NDArray[np.str_], is_hit: NDArray[np.bool_], num_strips: int) -> list[int]:
    """One video of each of some classes, evenly spread over the alphabet: by turns the first hit and the first miss."""
    classes = np.unique(labels)
    spread = np.unique(np.linspace(0, len(classes) - 1, min(num_strips, len(classes))).round().astype(np.int64))
    chosen = []
    for turn, label in enumerate(classes[spread]):
        of_class = np.flatnonzero(labels == label)
        wanted = of_class[is_hit[of_class] == (turn % 2 == 0)]
        chosen.append(int(wanted[0] if len(wanted) else of_class[0]))
    return chosen
