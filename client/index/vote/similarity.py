"""How alike videos are, each of several clips: the mean over the query's clips of their most similar one."""

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable

__all__ = ["NEAR_DUPLICATE", "video_similarities"]

NEAR_DUPLICATE = 0.999
"""From this similarity on a video is another copy of the query, or holds it: it is no witness of what that shows."""

# Cosines that are held at a time: 16 MiB of float32.
_MAX_COSINES = 1 << 22


def video_similarities(
    queries: NDArray[np.float32],
    num_clips: NDArray[np.int64],
    vectors: NDArray[np.float32],
    rows: RowTable,
    positions: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Similarity of n queries and L videos.

    Args:
        queries: Clips, unit length, query by query, `float32 [Q, D]`.
        num_clips: Of each query, at least 1, `int64 [n]`.
        vectors: Rows of the videos, unit length, `float32 [R, D]`.
        rows: Which are whose.
        positions: Of the videos in that table, `int64 [L]`.

    Returns:
        Mean cosine of each clip of the query and the most similar row of the video, `float32 [n, L]`.
    """
    similarities = np.empty((len(num_clips), len(positions)), np.float32)
    begins = np.cumsum(num_clips) - num_clips
    for part in rows.parts(positions, max(1, _MAX_COSINES // max(1, len(queries)))):
        counts = rows.num_rows[positions[part]]
        cosines = _taken(vectors, rows.rows_of(positions[part])) @ queries.T  # [r, Q]
        best = np.maximum.reduceat(cosines, np.cumsum(counts) - counts, axis=0)  # [l, Q]
        similarities[:, part] = (np.add.reduceat(best, begins, axis=1) / num_clips).T
    return similarities


def _taken(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    first, last = rows[0], rows[-1]
    return vectors[first : last + 1] if last - first + 1 == len(rows) else vectors[rows]
