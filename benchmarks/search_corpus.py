"""Clips as the product makes them: those of a video are like each other, and videos of one action too."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.vector_query import VectorQuery

__all__ = ["NUM_QUERIES", "Corpus", "clustered", "noisy"]

Vectors = NDArray[np.float32]

CLIPS_PER_VIDEO, VIDEOS_PER_ACTION = 10, 100
NUM_QUERIES = 512


@dataclass(frozen=True)
class Corpus:
    """Clips and queries."""

    vectors: Vectors
    table: RowTable
    queries: Vectors

    @property
    def dim(self) -> int:
        """D."""
        return self.vectors.shape[1]

    def asked(self, number: int, clips: int = 1) -> VectorQuery:
        """A query of so many clips of one video."""
        begin = number * clips % (NUM_QUERIES - clips)
        return VectorQuery.of(self.queries[begin : begin + clips])


def clustered(path: Path, num_clips: int, dim: int) -> Corpus:
    """Videos of clips that are like each other, in a mapped file; and further videos that ask."""
    rng = np.random.default_rng(0)
    num_videos = num_clips // CLIPS_PER_VIDEO
    actions = rng.standard_normal((max(1, num_videos // VIDEOS_PER_ACTION), dim), np.float32)
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (num_clips, dim))
    step = 10_000
    for begin in range(0, num_clips, step):
        vectors[begin : begin + step] = some_videos(rng, actions, step // CLIPS_PER_VIDEO)
    queries = some_videos(rng, actions, -(-NUM_QUERIES // CLIPS_PER_VIDEO))[:NUM_QUERIES]
    return Corpus(np.load(path, mmap_mode="r").view(np.ndarray), table_of(num_clips), queries)


def some_videos(rng: np.random.Generator, actions: Vectors, count: int) -> Vectors:
    """Clips `float32 [10·count, D]`."""
    videos = actions[rng.integers(0, len(actions), count)]
    videos += 0.8 * rng.standard_normal(videos.shape, np.float32)
    clips = np.repeat(videos, CLIPS_PER_VIDEO, axis=0)
    return unit(clips + 0.5 * rng.standard_normal(clips.shape, np.float32))


def table_of(num_clips: int) -> RowTable:
    """Videos of ten clips."""
    first = np.arange(0, num_clips, CLIPS_PER_VIDEO)
    return RowTable(np.arange(len(first)), first, np.full(len(first), CLIPS_PER_VIDEO), num_clips)


def unit(vectors: Vectors) -> Vectors:
    """Of unit length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def noisy(num_clips: int, dim: int) -> Corpus:
    """Uniform noise, which asks for itself."""
    vectors = unit(np.random.default_rng(1).standard_normal((num_clips, dim), np.float32))
    return Corpus(vectors, table_of(num_clips), vectors[:NUM_QUERIES])
