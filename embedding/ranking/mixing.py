"""How much order counts among labelled videos: chosen on them, each left out in turn.

Whether order tells classes apart depends on the encoder: it helps one that hardly tells them, and misleads one that
does. So the choice is made for the videos that are searched, by the share of those whose nearest other video has their
label. Where the best mix gains so much over cosine that it cannot be chance, the least of those is taken that come
within one standard error of it; else cosine is kept.

    choice = chosen_mix(moments, labels)
    nearest = MomentGallery(moments).nearest(query_vectors, query_blocks, [choice.mix])
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.ranking.order import NUM_RERANKED, block_alignments, mixed_scores
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["MIXES", "MixChoice", "MomentGallery", "Moments", "chosen_mix"]

MIXES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)

# Videos that are left out in turn, and among which neighbours are sought; more cost time and change nothing.
_MAX_VIDEOS = 1000
_SEED = 0
# Standard errors of the gain over cosine beyond which it is none of chance: 5 %, one-sided, of six mixes tried.
_LEAST_GAIN = 2.4


@dataclass(frozen=True, eq=False)
class Moments:
    """The clips of V videos.

    Attributes:
        vectors: unit length, `float32 [R, D]`; rows that belong to no video are not looked at.
        blocks_of: gives the blocks of some rows `int64 [n]`, unit length, `float16 [n, N, D]`.
        first_rows: of each video, whose rows follow one another, `int64 [V]`.
        num_rows: of each video, at least 1, `int64 [V]`.
    """

    vectors: NDArray[np.float32]
    blocks_of: Callable[[NDArray[np.int64]], NDArray[np.float16]]
    first_rows: NDArray[np.int64]
    num_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MixChoice:
    """The share of order in a score that was chosen.

    Attributes:
        mix: 0 where cosine alone is best, or nothing could be learned.
        num_videos: labelled videos that were left out in turn.
        agreement: per cent of these whose nearest other video has their label, with each of `MIXES`; empty where
            nothing could be learned.
        standard_error: of the best of these, likewise.
    """

    mix: float = 0.0
    num_videos: int = 0
    agreement: tuple[float, ...] = ()
    standard_error: float = 0.0


class MomentGallery:
    """Some videos, of which the nearest is asked for.

    Args:
        moments: of all videos.
        chosen: which of them are in the gallery, rising, `int64 [G]`; all by default.
    """

    def __init__(self, moments: Moments, chosen: NDArray[np.int64] | None = None) -> None:
        chosen = np.arange(len(moments.first_rows)) if chosen is None else chosen
        firsts, counts = moments.first_rows[chosen], moments.num_rows[chosen]
        self._ends = np.cumsum(counts)
        self._begins = self._ends - counts
        self._rows = np.arange(counts.sum()) + np.repeat(firsts - self._begins, counts)
        self._vectors, self._blocks_of = moments.vectors[self._rows], moments.blocks_of

    def nearest(
        self, vectors: NDArray[np.float32], blocks: NDArray[np.float32], mixes: Sequence[float]
    ) -> NDArray[np.int64]:
        """The video nearest to another, as `client search` ranks: by its best moment, all clips of the other asking.

        Args:
            vectors: of the other video's clips, unit length, `float32 [Q, D]`.
            blocks: of these, `float32 [Q, N, D]`.
            mixes: shares of order.

        Returns:
            Position in the gallery with each mix, `int64 [mixes]`.
        """
        return self._nearest(vectors, blocks, mixes, None)

    def nearest_other(self, video: int, mixes: Sequence[float]) -> NDArray[np.int64]:
        """The same of a video of the gallery, by its position, among the others."""
        own = slice(self._begins[video], self._ends[video])
        blocks = self._blocks_of(self._rows[own]).astype(np.float32)
        return self._nearest(self._vectors[own], blocks, mixes, video)

    def _nearest(
        self, vectors: NDArray[np.float32], blocks: NDArray[np.float32], mixes: Sequence[float], left_out: int | None
    ) -> NDArray[np.int64]:
        cosines = self._vectors @ vectors.T  # [M, Q]
        best = cosines.max(axis=1)
        scores = np.round(np.maximum.reduceat(best, self._begins).astype(np.float64), 6)  # of each video
        if left_out is not None:
            scores[left_out] = -np.inf
        videos = np.argsort(-scores, kind="stable")[:NUM_RERANKED]
        videos = videos[np.isfinite(scores[videos])]
        if not any(mixes):
            return np.repeat(videos[:1], len(mixes))
        moments = np.array([self._begins[v] + best[self._begins[v] : self._ends[v]].argmax() for v in videos])
        stored = self._blocks_of(self._rows[moments])
        alignments = block_alignments(blocks, cosines[moments].argmax(axis=1), stored)
        mixed = [mixed_scores(scores[videos], alignments, mix) for mix in mixes]
        return np.asarray(videos[np.argmax(mixed, axis=1)])


def chosen_mix(moments: Moments, labels: Sequence[str | None]) -> MixChoice:
    """Choose the mix of labelled videos; always the same for the same videos.

    Videos that are alone in their class cannot agree with any and are only found by others. Without two classes, or
    without a class of two videos, nothing is learned.

    Args:
        moments: of V videos.
        labels: of each.
    """
    names = np.array([label or "" for label in labels])
    chosen = sample_of(np.flatnonzero(names != ""), _MAX_VIDEOS, seed=_SEED)
    kinds, counts = np.unique(names[chosen], return_inverse=True, return_counts=True)[1:]
    asking = np.flatnonzero(counts[kinds] > 1)
    if len(counts) < 2 or not len(asking):
        return MixChoice()
    gallery = MomentGallery(moments, chosen)
    agrees = np.array([kinds[gallery.nearest_other(video, MIXES)] == kinds[video] for video in asking])  # [A, mixes]
    return _choice(agrees)


def _choice(agrees: NDArray[np.bool_]) -> MixChoice:
    shares = agrees.mean(axis=0)
    best = shares.max()
    error = float(np.sqrt(best * (1.0 - best) / len(agrees)))
    gains = agrees[:, shares.argmax()].astype(np.int64) - agrees[:, 0]
    is_sure = gains.mean() > _LEAST_GAIN * gains.std() / np.sqrt(len(gains))
    mix = MIXES[int(np.argmax(shares >= best - error))] if is_sure else 0.0
    per_cent = tuple(round(100.0 * float(share), 2) for share in shares)
    return MixChoice(mix, len(agrees), per_cent, round(100.0 * error, 2))
