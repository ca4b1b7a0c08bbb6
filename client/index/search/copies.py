"""Hits that say the same twice: copies of one video, and moments of a video that overlap.

A video that was encoded anew, or at another size, has nearly the same vectors at the same times. So two videos count as
copies if they have as many clips, which begin and end at the same times within `MAX_SHIFT_S`, and the cosine of every
pair of clips is at least `MIN_COSINE`; and if the distance of each pair, 1 - cosine, is at most `MAX_SHARE` of that of
any two clips of the index, lest an encoder to which all is alike makes copies of everything. Where that share is finer
than rounding, copies are those whose vectors are the same to the last bit.

Measured with the packed encoders (rgb, flow) as the lowest cosine of two videos: no two different ones of 400 generated
videos come above 0.965 and 0.993, of 160 depth videos of UTD-MHAD, where people repeat an action, above 0.992 and
0.971. The latter encoded anew by x264 at CRF 28, at CRF 36, and at half the size are recognised by rgb in 100, 95 and
75 % of the cases; by flow seldom, as what moves alike looks alike to it.

Of copies, and of moments that overlap, the best one is kept.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable

__all__ = ["MAX_SHARE", "MAX_SHIFT_S", "MIN_COSINE", "Copies", "are_alike", "sampled_videos", "without_overlaps"]

MIN_COSINE = 0.995
MAX_SHARE = 0.03
MAX_SHIFT_S = 0.02

# Videos that are compared with all kept ones at once.
_BLOCK = 256
# Float32 products of unit vectors are not further from the truth.
_MARGIN = 1e-4
# Cosines are compared to so much.
_RESOLUTION = 1e-6
# Clips by which the distance of any two is estimated.
_SAMPLE = 1024


class Copies:
    """Knows which videos are copies of each other.

    Args:
        vectors: Of all rows, of unit length, `float32 [R, D]`.
        table: Which rows are of which video.
        spans_of: Position of a video in the table → start and end of its clips in seconds, `float64 [K, 2]`.
        mean_square: Squared length of the mean of clips of the index; None where the table has all of it.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        table: RowTable,
        spans_of: Callable[[int], NDArray[np.float64]],
        mean_square: float | None = None,
    ) -> None:
        self._vectors, self._table, self._spans_of, self._mean_square = vectors, table, spans_of, mean_square

    def are_first(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether no video before each one is kept that it is a copy of: `bool [n]`.

        Args:
            positions: Different videos of the table, the best first: `int64 [n]`.
        """
        are_kept = np.ones(len(positions), np.bool_)
        first_clips = self._vectors[self._table.first_rows[positions]]  # [n, D]
        counts = self._table.num_rows[positions]
        for begin in range(0, len(positions), _BLOCK):
            earlier = np.flatnonzero(are_kept[: begin + _BLOCK])
            block = slice(begin, begin + _BLOCK)
            alike = first_clips[block] @ first_clips[earlier].T >= MIN_COSINE - _MARGIN
            alike &= counts[block, None] == counts[earlier]
            alike &= earlier < np.arange(begin, begin + len(alike))[:, None]
            for place in np.flatnonzero(alike.any(axis=1)).tolist():
                others = earlier[alike[place]]
                others = others[are_kept[others]]
                are_kept[begin + place] = not any(
                    self._are_copies(int(positions[other]), int(positions[begin + place])) for other in others
                )
        return are_kept

    def _are_copies(self, one: int, other: int) -> bool:
        if np.abs(self._spans_of(one) - self._spans_of(other)).max() > MAX_SHIFT_S:
            return False
        first_rows, num_rows = self._table.first_rows, int(self._table.num_rows[one])
        clips, others = (
            self._vectors[first_rows[position] : first_rows[position] + num_rows] for position in (one, other)
        )
        if self._max_distance < _RESOLUTION:
            return np.array_equal(clips, others)
        cosines = (clips.astype(np.float64) * others).sum(axis=1)  # in this order on every machine
        min_cosine = max(MIN_COSINE, round(1 - self._max_distance, 6))
        return bool(np.round(cosines, 6).min() >= min_cosine)

    @cached_property
    def _max_distance(self) -> float:
        """A share of the distance of any two clips, which is 1 - the squared length of their mean."""
        mean_square = self._mean_square
        if mean_square is None:
            places = sampled_videos(len(self._table.video_ids))
            mean = self._vectors[self._table.first_rows[places]].astype(np.float64).sum(axis=0) / len(places)
            mean_square = float((mean * mean).sum())
        return MAX_SHARE * (1 - mean_square)


def sampled_videos(num_videos: int) -> NDArray[np.int64]:
    """Positions of the videos whose first clips say how far any two of an index lie apart; some of them twice."""
    return np.linspace(0, num_videos - 1, _SAMPLE).astype(np.int64)


def are_alike(first_clips: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether videos with these first clips, `float32 [n, D]`, might be copies of another of them: `bool [n]`."""
    alike = np.zeros(len(first_clips), np.bool_)
    for begin in range(0, len(first_clips), _BLOCK):
        block = first_clips[begin : begin + _BLOCK] @ first_clips.T >= MIN_COSINE - 2 * _MARGIN
        alike[begin : begin + _BLOCK] = block.sum(axis=1) > 1
    return alike


def without_overlaps(videos: NDArray[np.int64], spans: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each moment overlaps none before it that is kept: `bool [n]`.

    Args:
        videos: Which video each is of, the best moment first: `int64 [n]`.
        spans: Start and end of each, `float64 [n, 2]`.
    """
    kept: dict[int, list[tuple[float, float]]] = defaultdict(list)  # by time: they do not overlap
    are_kept = np.ones(len(videos), np.bool_)
    for number, (video, (start, end)) in enumerate(zip(videos.tolist(), spans.tolist(), strict=True)):
        others = kept[video]
        place = bisect(others, (start, end))
        begins_within = place > 0 and others[place - 1][1] > start
        ends_within = place < len(others) and others[place][0] < end
        if begins_within or ends_within:
            are_kept[number] = False
        else:
            others.insert(place, (start, end))
    return are_kept
