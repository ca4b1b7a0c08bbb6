"""How much order counts in an index: chosen on its labelled videos (`embedding.ranking.mixing`), and kept in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.vote.learned import Learned
from cocon.embedding.ranking.mixing import MIXES, Moments, chosen_mix

__all__ = ["RANKING_FACT", "RankingChoice", "choose_ranking"]

RANKING_FACT = "ranking"
"""Name of the fact of an index that is its choice."""

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
    label_counts = dict(Counter(label for label in labels if label))
    moments = Moments(vectors, blocks.__getitem__, rows.first_rows, rows.num_rows)
    found = chosen_mix(moments, labels)
    mixes = MIXES if found.agreement else ()
    return RankingChoice(found.mix, found.num_videos, mixes, found.agreement, found.standard_error, label_counts)
