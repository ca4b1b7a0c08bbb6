"""How much order counts in an index: chosen on its labelled videos, each left out in turn.

Whether order tells classes apart depends on the encoder: it helps one that hardly tells them, and misleads one that
does. So the choice is made for an index, by the share of videos whose nearest other video has their label. Of all mixes
that come within one standard error of the best, the least is taken; an index whose labels show no gain keeps cosine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.ranking.reranking import NUM_RERANKED, block_alignments, mixed_scores
from cocon.core.errors import MismatchError

__all__ = ["COSINE_ONLY", "MIXES", "RankingChoice", "choose_ranking"]

MIXES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)

# Videos that are left out in turn, and among which neighbours are sought; more cost time and change nothing.
_MAX_VIDEOS = 1000
_SEED = 0
# What a row is made of; another way of aligning would need another choice.
_FORM = "mean cosine along the best path through double centred cosines"


@dataclass(frozen=True, slots=True)
class RankingChoice:
    """How hits are ranked when order counts.

    Attributes:
        mix: Share of the alignment in a score; 0 where cosine alone is best, or nothing could be learned.
        num_videos: Labelled videos that it was chosen on.
        agreement: Per cent of them whose nearest other video has their label, with each of `MIXES`; empty without.
        standard_error: Of the best of these.
    """

    mix: float
    num_videos: int = 0
    agreement: tuple[float, ...] = ()
    standard_error: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "form": _FORM,
            "mix": self.mix,
            "num_videos": self.num_videos,
            "mixes": list(MIXES[: len(self.agreement)]),
            "agreement": list(self.agreement),
            "standard_error": self.standard_error,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            MismatchError: It is damaged, or of another way to align.
        """
        try:
            choice = cls(
                float(found["mix"]),
                int(found["num_videos"]),
                tuple(float(share) for share in found["agreement"]),
                float(found["standard_error"]),
            )
            is_known = found["form"] == _FORM and 0.0 <= choice.mix <= 1.0
        except (KeyError, TypeError, ValueError, OverflowError):
            is_known = False
        if not is_known:
            raise MismatchError("how the index ranks by order is not known to this version; run: client index tune")
        return choice


COSINE_ONLY = RankingChoice(0.0)


def choose_ranking(
    vectors: NDArray[np.float32], blocks: NDArray[np.float16], rows: RowTable, labels: Sequence[str | None]
) -> RankingChoice:
    """Choose the mix of an index on its labelled videos; always the same for the same index.

    A video is ranked as `client search` does: by the best moment of each other video, all of its own clips asking.
    Videos that are alone in their class cannot agree with any and are only found by others. Without two classes, or
    without a class of two videos, nothing is learned.

    Args:
        vectors: Of all rows, unit length, `float32 [R, D]`.
        blocks: Of all rows, `float16 [R, N, D]`.
        rows: Which rows are of which video.
        labels: Of each video of the table, V.
    """
    names = np.array([label or "" for label in labels])
    chosen = np.flatnonzero(names != "")
    if len(chosen) > _MAX_VIDEOS:
        chosen = np.sort(np.random.default_rng(_SEED).choice(chosen, _MAX_VIDEOS, replace=False))
    kinds, counts = np.unique(names[chosen], return_inverse=True, return_counts=True)[1:]
    asking = np.flatnonzero(counts[kinds] > 1)
    if len(counts) < 2 or not len(asking):
        return COSINE_ONLY
    gallery = _Gallery(vectors, blocks, rows, chosen)
    agrees = np.array([kinds[gallery.nearest_with_each_mix(video)] == kinds[video] for video in asking])  # [A, mixes]
    return _chosen(agrees)


def _chosen(agrees: NDArray[np.bool_]) -> RankingChoice:
    shares = agrees.mean(axis=0)
    best = shares.max()
    error = float(np.sqrt(best * (1.0 - best) / len(agrees)))
    mix = MIXES[int(np.argmax(shares >= best - error))]
    per_cent = tuple(round(100.0 * float(share), 2) for share in shares)
    return RankingChoice(mix, len(agrees), per_cent, round(100.0 * error, 2))


class _Gallery:
    """Some videos of an index, each of which asks for the nearest of the others."""

    def __init__(
        self, vectors: NDArray[np.float32], blocks: NDArray[np.float16], rows: RowTable, chosen: NDArray[np.int64]
    ) -> None:
        self._rows = rows.rows_of(chosen)
        self._vectors, self._blocks = vectors[self._rows], blocks
        self._ends = np.cumsum(rows.num_rows[chosen])
        self._begins = self._ends - rows.num_rows[chosen]

    def nearest_with_each_mix(self, video: int) -> NDArray[np.int64]:
        """The video nearest to a video but itself, with each of `MIXES`: `int64 [mixes]`."""
        own = slice(self._begins[video], self._ends[video])
        cosines = self._vectors @ self._vectors[own].T  # [M, Q]
        best = cosines.max(axis=1)
        best[own] = -np.inf
        scores = np.maximum.reduceat(best, self._begins)  # of each video
        videos = np.argsort(-scores, kind="stable")[:NUM_RERANKED]
        videos = videos[videos != video]
        moments = np.array([self._begins[v] + best[self._begins[v] : self._ends[v]].argmax() for v in videos])
        alignments = block_alignments(
            self._blocks[self._rows[own]].astype(np.float32),
            cosines[moments].argmax(axis=1),
            self._blocks[self._rows[moments]],
        )
        mixed = [mixed_scores(scores[videos].astype(np.float64), alignments, mix) for mix in MIXES]
        return videos[np.argmax(mixed, axis=1)]
