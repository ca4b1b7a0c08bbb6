"""How much order counts in an index: chosen on its labelled videos, each left out in turn.

Whether order tells classes apart depends on the encoder: it helps one that hardly tells them, and misleads one that
does. So the choice is made for an index, by the share of videos whose nearest other video has their label. Where the
best mix gains so much over cosine that it cannot be chance, the least of those is taken that come within one standard
error of it; else cosine is kept.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.ranking.reranking import NUM_RERANKED, block_alignments, mixed_scores
from cocon.client.index.search.sampling import sample_of
from cocon.client.index.vote.learned import Learned

__all__ = ["MIXES", "RANKING_FACT", "RankingChoice", "choose_ranking"]

RANKING_FACT = "ranking"
"""Name of the fact of an index that is its choice."""

MIXES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)

# Videos that are left out in turn, and among which neighbours are sought; more cost time and change nothing.
_MAX_VIDEOS = 1000
_SEED = 0
# Standard errors of the gain over cosine beyond which it is none of chance: 5 %, one-sided, of six mixes tried.
_LEAST_GAIN = 2.4
# What is mixed with the cosine; another alignment would need another choice.
_FORM = "mean cosine along the best path through double centred cosines"


@dataclass(frozen=True, slots=True)
class RankingChoice(Learned):
    """How hits are ranked when order counts.

    Attributes:
        mix: Share of the alignment in a score; 0 where cosine alone is best, or nothing could be learned.
        num_videos: Labelled videos that were left out in turn.
        mixes: What was tried.
        agreement: Per cent of these videos whose nearest other video has their label, with each of `mixes`.
        standard_error: Of the best of these.
        label_counts: Label → its videos in the index.
        form: What is mixed with the cosine.
    """

    mix: float = 0.0
    num_videos: int = 0
    mixes: tuple[float, ...] = ()
    agreement: tuple[float, ...] = ()
    standard_error: float = 0.0
    label_counts: Mapping[str, int] = field(default_factory=dict)
    form: str = _FORM

    def as_dict(self) -> dict[str, Any]:
        """The form for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` wrote; raises `ValueError` if it is no such thing, or of another alignment."""
        try:
            mixes, agreement = (tuple(map(float, values[name])) for name in ("mixes", "agreement"))
            choice = cls(**{**values, "mixes": mixes, "agreement": agreement})
            counts = [choice.num_videos, *choice.label_counts.values()]
            shares = np.array([choice.mix, *mixes, *(share / 100 for share in agreement)], np.float64)
            is_sound = choice.form == _FORM and len(mixes) == len(agreement) and min(counts) >= 0
            is_sound = is_sound and bool((shares >= 0).all() and (shares <= 1).all())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"this is no choice of a ranking: {error}") from error
        if not is_sound:
            raise ValueError("this is no choice of a ranking: a number is out of range, or its form is another")
        return choice


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
    names, label_counts = np.array([label or "" for label in labels]), dict(Counter(label for label in labels if label))
    chosen = sample_of(np.flatnonzero(names != ""), _MAX_VIDEOS, seed=_SEED)
    kinds, counts = np.unique(names[chosen], return_inverse=True, return_counts=True)[1:]
    asking = np.flatnonzero(counts[kinds] > 1)
    if len(counts) < 2 or not len(asking):
        return RankingChoice(label_counts=label_counts)
    gallery = _Gallery(vectors, blocks, rows, chosen)
    agrees = np.array([kinds[gallery.nearest_with_each_mix(video)] == kinds[video] for video in asking])  # [A, mixes]
    return _chosen(agrees, label_counts)


def _chosen(agrees: NDArray[np.bool_], label_counts: Mapping[str, int]) -> RankingChoice:
    shares = agrees.mean(axis=0)
    best = shares.max()
    error = float(np.sqrt(best * (1.0 - best) / len(agrees)))
    gains = agrees[:, shares.argmax()].astype(np.int64) - agrees[:, 0]
    is_sure = gains.mean() > _LEAST_GAIN * gains.std() / np.sqrt(len(gains))
    mix = MIXES[int(np.argmax(shares >= best - error))] if is_sure else 0.0
    per_cent = tuple(round(100.0 * float(share), 2) for share in shares)
    return RankingChoice(mix, len(agrees), MIXES, per_cent, round(100.0 * error, 2), label_counts)


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
