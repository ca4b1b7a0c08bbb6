"""Two videos aligned in time: block by block how alike they are, the best way through both, and its phases.

with VideoEmbedder(url, views=("rgb", "flow")) as embedder:
    alignment = align_videos(embedder, "a.mp4", "b.mp4")
    alignment.score, alignment.spans
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.pipeline.block_order import ordered_blocks
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo, Row, VideoEmbedding
from cocon.core.paths import check_file
from cocon.core.progress import OnProgress
from cocon.embedding.alignment import best_monotone_path, block_similarities, double_centred, path_score, phase_bounds
from cocon.embedding.neighbours import unit_vectors
from cocon.video.clips import ClipSpec

__all__ = ["AlignedSpan", "Alignment", "BlockTrack", "align_videos"]

# More blocks than a screen has lines are neither seen nor worth a table of all pairs.
_MAX_BLOCKS = 1000
_NUM_PHASES = 6


@dataclass(frozen=True, slots=True)
class BlockTrack:
    """The blocks of one video in order of time.

    Attributes:
        video: Path, as it was given.
        edges: Where each block's share of the video begins, and the end, in seconds: `float64 [N + 1]`. Where blocks
            overlap, it is halfway between their middles.
        vectors: Unit length, `float32 [N, D]`.
        num_merged: Neighbouring blocks that one vector stands for.
    """

    video: str
    edges: NDArray[np.float64]
    vectors: NDArray[np.float32] = field(repr=False)
    num_merged: int = 1

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def of(cls, embedding: VideoEmbedding, spec: ClipSpec, *, max_blocks: int = _MAX_BLOCKS) -> Self:
        """Put the blocks of all clips in a row: those of overlapping clips once, those past the end not at all.

        Args:
            embedding: Of the video.
            spec: Its clips' geometry.
            max_blocks: Where there are more, equal numbers of neighbours become one, their mean.
        """
        blocks = ordered_blocks(embedding, spec)
        begins, middles = blocks.begins, (blocks.begins + blocks.ends) / 2
        last = max(blocks.ends.max(), begins[0] + blocks.step_seconds)
        edges = np.concatenate([begins[:1], (middles[1:] + middles[:-1]) / 2, [last]])
        return cls(embedding.video, edges, blocks.vectors)._merged(-(-len(begins) // max_blocks))

    @property
    def middles(self) -> NDArray[np.float64]:
        """Of the blocks, in seconds: `float64 [N]`."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def _merged(self, number: int) -> Self:
        if number == 1:
            return self
        starts = np.arange(0, len(self), number)
        vectors = unit_vectors(np.add.reduceat(self.vectors, starts, axis=0))
        return type(self)(self.video, np.append(self.edges[starts], self.edges[-1]), vectors, number)


@dataclass(frozen=True, slots=True)
class AlignedSpan:
    """One phase: a part of the first video (A) and the part of the second (B) that goes with it.

    Neighbouring spans may share a block where one video stands still for the other.

    Attributes:
        start_seconds_a: In the first video.
        end_seconds_a: Likewise.
        start_seconds_b: In the second.
        end_seconds_b: Likewise.
        similarity: Mean cosine along the path.
    """

    start_seconds_a: float
    end_seconds_a: float
    start_seconds_b: float
    end_seconds_b: float
    similarity: float

    def row(self) -> Row:
        """As an object with the names of the attributes."""
        return {name: round(float(getattr(self, name)), 6) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two videos, aligned.

    Attributes:
        first: Video A.
        second: Video B.
        similarities: Cosines of their blocks, `float32 [Na, Nb]`.
        path: The best monotone path through them, pairs of blocks, `int64 [L, 2]`.
        bounds: Where the phases of the path begin, and its end: `int64 [P + 1]`.
    """

    first: BlockTrack
    second: BlockTrack
    similarities: NDArray[np.float32] = field(repr=False)
    path: NDArray[np.int64] = field(repr=False)
    bounds: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, first: BlockTrack, second: BlockTrack) -> Self:
        """Align the blocks of two videos."""
        similarities = block_similarities(first.vectors, second.vectors)
        path = best_monotone_path(double_centred(similarities))
        bounds = phase_bounds(first.vectors, second.vectors, path, _NUM_PHASES)
        return cls(first, second, similarities, path, bounds)

    @property
    def score(self) -> float:
        """Mean cosine along the path."""
        return path_score(self.similarities, self.path)

    @property
    def spans(self) -> list[AlignedSpan]:
        """The phases in order of time."""
        return [self._span(self.path[begin:end]) for begin, end in zip(self.bounds, self.bounds[1:], strict=False)]

    @property
    def phases(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Phase of each block of A and of B, for the most part: `int64 [Na]`, `int64 [Nb]`."""
        phases = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))  # [L]
        return _at_middle(phases, self.path[:, 0]), _at_middle(phases, self.path[:, 1])

    def _span(self, part: NDArray[np.int64]) -> AlignedSpan:
        (first_a, first_b), (last_a, last_b) = part[0], part[-1]
        edges_a, edges_b = self.first.edges, self.second.edges
        similarity = path_score(self.similarities, part)
        return AlignedSpan(edges_a[first_a], edges_a[last_a + 1], edges_b[first_b], edges_b[last_b + 1], similarity)


def align_videos(
    embedder: VideoEmbedder,
    first: str | PathLike[str],
    second: str | PathLike[str],
    *,
    on_progress: OnProgress = lambda *_: None,
) -> Alignment:
    """Embed two videos and align them.

    Args:
        embedder: Of the views to compare; with an overlap, blocks are denser.
        first: Video A.
        second: Video B.
        on_progress: Called with (videos embedded, 2).

    Raises:
        VideoError: One cannot be decoded, or lacks a view.
        UsageError: A file does not exist.
        ServerError: The server does not answer.
        MismatchError: The model refuses the clips or gives unsound vectors.
    """
    paths = [first, second]
    for path in paths:
        check_file(path, "video")
    tracks = [BlockTrack.of(embedding, embedder.model.clip) for embedding in _embedded(embedder, paths, on_progress)]
    return Alignment.of(*tracks)


def _embedded(
    embedder: VideoEmbedder, paths: list[str | PathLike[str]], on_progress: OnProgress
) -> Iterator[VideoEmbedding]:
    for done, result in enumerate(embedder.embed_many(paths), start=1):
        if isinstance(result, FailedVideo):
            raise result.error
        result.check_complete()
        on_progress(done, len(paths))
        yield result


def _at_middle(phases: NDArray[np.int64], blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The phase in the middle of each block's run of pairs; `blocks` is `int64 [L]`, never falling."""
    numbers = np.arange(blocks[-1] + 1)
    begins, ends = np.searchsorted(blocks, numbers, "left"), np.searchsorted(blocks, numbers, "right")
    return phases[(begins + ends - 1) // 2]
