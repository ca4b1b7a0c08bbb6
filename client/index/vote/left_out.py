"""Videos of an index as queries to its others: what each finds if it, or all of its class, were not there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.vote.similarity import NEAR_DUPLICATE, video_similarities
from cocon.embedding.neighbours import largest_columns, query_chunks
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["LeaveOneOut", "Neighbours", "leave_out", "nearest_videos"]

# Videos that are left out, and products of numbers for it: some seconds of one core for the largest of indexes.
_MAX_VIDEOS, _MIN_VIDEOS, _MAX_PRODUCTS = 1000, 50, 1 << 37
# Of each, evenly over its length.
_MAX_CLIPS = 8
_SEED = 20_260_714


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What n videos find.

    Attributes:
        own: Their own classes, `int64 [n]`.
        cosines: Similarity of the nearest others, best first, -inf for none, `float32 [n, k]`.
        codes: Classes of these, `int64 [n, k]`.
    """

    own: NDArray[np.int64]
    cosines: NDArray[np.float32]
    codes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """What videos find when they are left out.

    Attributes:
        known: Videos that have another one of their class, among all others.
        strange: Videos, among those of other classes, where there are any.
        num_videos: That were left out.
    """

    known: Neighbours
    strange: Neighbours
    num_videos: int


def leave_out(
    vectors: NDArray[np.float32], rows: RowTable, positions: NDArray[np.int64], codes: NDArray[np.int64], k: int
) -> LeaveOneOut:
    """Ask each of the videos, or some hundreds of them, for its neighbours. Copies of it are none.

    Args:
        vectors: Unit length, `float32 [R, D]`.
        rows: Which are whose.
        positions: In that table, of the videos with a class, `int64 [L]`.
        codes: Their classes, `int64 [L]`.
        k: Most neighbours.
    """
    sampled = _sampled(rows.num_rows[positions], vectors.shape[1])
    shape = 2, len(sampled), min(k, len(positions))
    cosines, nearest = np.empty(shape, np.float32), np.empty(shape, np.int64)
    is_known = np.empty(len(sampled), np.bool_)
    for chunk in query_chunks(len(sampled), len(positions)):
        videos = sampled[chunk]
        clips = [_spread(rows.rows_of(positions[[video]])) for video in videos]
        queries = vectors[np.concatenate(clips)]
        found = video_similarities(queries, np.array([len(of) for of in clips]), vectors, rows, positions)
        ids = rows.video_ids[positions]
        found[ids[videos][:, None] == ids] = -np.inf  # itself, and where parts count as videos, the others of its video
        cosines[0, chunk], nearest[0, chunk] = nearest_videos(found, k)
        is_own = codes[videos][:, None] == codes  # [q, L]
        is_known[chunk] = (is_own & np.isfinite(found)).any(axis=1)
        found[is_own] = -np.inf
        cosines[1, chunk], nearest[1, chunk] = nearest_videos(found, k)
    known, strange = (
        Neighbours(codes[sampled[takes_part]], cosines[which, takes_part], codes[nearest[which, takes_part]])
        for which, takes_part in enumerate((is_known, np.isfinite(cosines[1, :, 0])))
    )
    return LeaveOneOut(known, strange, len(sampled))


def nearest_videos(
    similarities: NDArray[np.float32], k: int, *, has_copies: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The most similar videos but for copies of the query, which become -inf in `similarities` as well.

    Args:
        similarities: Of n queries and L videos, `float32 [n, L]`; -inf for a video that may not vote.
        k: Most of them.
        has_copies: Whether copies are taken as well.

    Returns:
        Similarities, best first, -inf for none, and columns, `[n, min(k, L)]`.
    """
    if not has_copies:
        similarities[similarities >= NEAR_DUPLICATE] = -np.inf
    columns = largest_columns(similarities, min(k, similarities.shape[1]))
    return np.take_along_axis(similarities, columns, axis=1), columns


def _sampled(num_rows: NDArray[np.int64], dim: int) -> NDArray[np.int64]:
    """Which of the videos with so many rows are left out, rising."""
    num_clips = np.minimum(num_rows, _MAX_CLIPS).mean()
    affordable = int(_MAX_PRODUCTS / (num_clips * num_rows.sum() * dim))
    wanted = min(_MAX_VIDEOS, max(_MIN_VIDEOS, affordable))
    return sample_of(np.arange(len(num_rows)), wanted, seed=_SEED)


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of them, evenly."""
    if len(rows) <= _MAX_CLIPS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MAX_CLIPS).round().astype(np.int64)]
