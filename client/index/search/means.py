"""Videos as the mean of their clips, as retrieval is judged by `cocon evaluate`."""

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable

__all__ = ["mean_vector", "video_means"]

# Clips that are added up at a time.
_MAX_CLIPS = 1 << 16


def mean_vector(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of clips `float32 [K, D]`, of unit length again: `float32 [1, D]`."""
    return _unit(clips.astype(np.float64).sum(axis=0, keepdims=True))


def video_means(
    vectors: NDArray[np.float32], table: RowTable, unsound: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mean of each video.

    Args:
        vectors: Of all rows, of unit length, `float32 [R, D]`.
        table: Which rows are of which video.
        unsound: Rows that are damaged; a video that has one is left out.

    Returns:
        Of unit length, `float32 [V, D]`; and whether each is whole, `bool [V]`.
    """
    num_videos = len(table.video_ids)
    means = np.zeros((num_videos, vectors.shape[1]), np.float32)
    ends = np.cumsum(table.num_rows)
    first = 0
    while first < num_videos:
        before = int(ends[first] - table.num_rows[first])
        last = max(first + 1, int(np.searchsorted(ends, before + _MAX_CLIPS, side="right")))
        positions = np.arange(first, last)
        clips = vectors[table.rows_of(positions)].astype(np.float64)
        means[first:last] = _unit(np.add.reduceat(clips, ends[positions] - table.num_rows[positions] - before, axis=0))
        first = last
    are_whole = np.ones(num_videos, np.bool_)
    are_whole[table.videos_of(unsound)] = False
    means[~are_whole] = 0
    return means, are_whole


def _unit(sums: NDArray[np.float64]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.maximum(lengths, np.finfo(np.float64).tiny)).astype(np.float32)
