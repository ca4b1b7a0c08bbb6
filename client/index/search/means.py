"""Videos as the mean of their clips, as retrieval is judged by `cocon evaluate`.

Of several views, which lie side by side in a vector, each is of unit length before they are fused, and so is its mean:
a view whose clips differ more would count less otherwise.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable

__all__ = ["mean_vector", "part_lengths", "video_means"]

# Clips that are added up at a time.
_MAX_CLIPS = 1 << 16
_UNIT_TOLERANCE = 1e-3
# Videos by whose clips the views in a vector are told apart.
_MAX_LOOKED_AT = 16


def mean_vector(clips: NDArray[np.float32], widths: Sequence[int] = ()) -> NDArray[np.float32]:
    """The mean of clips `float32 [K, D]` of fused views (`widths`), of unit length again: `float32 [1, D]`."""
    return _unit(clips.astype(np.float64).sum(axis=0, keepdims=True), part_lengths(clips, widths), widths)


def video_means(
    vectors: NDArray[np.float32], table: RowTable, unsound: NDArray[np.int64], widths: Sequence[int] = ()
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mean of each video.

    Args:
        vectors: Of all rows, of unit length, `float32 [R, D]`.
        table: Which rows are of which video.
        unsound: Rows that are damaged; a video that has one is left out.
        widths: Numbers of each view that was fused; none of a single one.

    Returns:
        Of unit length, `float32 [V, D]`; and whether each is whole, `bool [V]`.
    """
    num_videos = len(table.video_ids)
    means = np.zeros((num_videos, vectors.shape[1]), np.float32)
    are_whole = np.ones(num_videos, np.bool_)
    are_whole[table.videos_of(unsound)] = False
    lengths = part_lengths(vectors[table.rows_of(np.flatnonzero(are_whole)[:_MAX_LOOKED_AT])], widths)
    positions = np.arange(num_videos)
    for part in table.parts(positions, _MAX_CLIPS):
        counts = table.num_rows[part]
        clips = vectors[table.rows_of(positions[part])].astype(np.float64)
        means[part] = _unit(np.add.reduceat(clips, np.cumsum(counts) - counts, axis=0), lengths, widths)
    means[~are_whole] = 0
    return means, are_whole


def part_lengths(vectors: NDArray[np.float32], widths: Sequence[int]) -> NDArray[np.float64]:
    """Lengths √w `[V]` of the parts of V views; `[1]` where vectors `float32 [K, D]` have none of these widths.

    Where views are fused that an index does not say the widths of, they are told by their lengths, which are the same
    in every clip.
    """
    if not len(vectors) or sum(widths) != vectors.shape[1]:
        return np.ones(1)
    squares = np.add.reduceat(np.square(vectors, dtype=np.float64), _starts(widths), axis=1)  # [K, V]
    weights = squares.mean(axis=0)
    are_views = np.abs(squares - weights).max() < _UNIT_TOLERANCE
    return np.sqrt(weights / weights.sum()) if are_views else np.ones(1)


def _starts(widths: Sequence[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *widths[:-1]])


def _unit(sums: NDArray[np.float64], lengths: NDArray[np.float64], widths: Sequence[int]) -> NDArray[np.float32]:
    """Sums `float64 [n, D]` with every part brought to its length."""
    ends = _starts(widths)[1 : len(lengths)]
    parts = []
    for part, length in zip(np.split(sums, ends, axis=1), lengths, strict=True):
        found = np.linalg.norm(part, axis=1, keepdims=True)
        parts.append(part / np.maximum(found, np.finfo(np.float64).tiny) * length)
    return np.concatenate(parts, axis=1).astype(np.float32)
