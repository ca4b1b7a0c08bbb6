"""How the labelled videos of an index vote: what was chosen by leaving out one after the other."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.vote.learned import Learned
from cocon.client.index.vote.shares import best_similarity, class_shares, unknown_shares

__all__ = ["RULE_FACT", "VoteRule"]

RULE_FACT = "vote"
"""Name of the fact of an index that is its rule."""


@dataclass(frozen=True, slots=True)
class VoteRule(Learned):
    """A calibrated vote. See `choosing.choose_rule`.

    Attributes:
        num_neighbours: Videos that vote, the most similar ones.
        temperature: Of their votes: how much more a more similar one counts.
        sharpness: Power of the shares that they give the classes: above 1 the best class gains.
        doubt: Share that is spread over all classes alike: what so few videos cannot tell.
        min_similarity: Of the best class, below which a video is of none; None where nothing can tell.
        unknown_temperature: How fast the share of what is of no class falls with that similarity.
        accuracy: Share of the videos left out that were named rightly; None where every class has a single video.
        balanced_accuracy: Mean of the shares of videos that were called known, and of those whose class was left out
            as well that were called unknown; None where nothing can tell.
        num_videos: That were left out.
        label_counts: Label → its videos in the index.
    """

    num_neighbours: int
    temperature: float
    sharpness: float
    doubt: float
    min_similarity: float | None
    unknown_temperature: float
    accuracy: float | None
    balanced_accuracy: float | None
    num_videos: int
    label_counts: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The form for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "VoteRule":
        """What `as_dict` wrote; raises `ValueError` if it is no such thing."""
        try:
            rule = cls(**values)
            positive = [rule.num_neighbours, rule.temperature, rule.sharpness, rule.unknown_temperature]
            positive += rule.label_counts.values()
            numbers = np.array([*positive, rule.doubt, rule.min_similarity or 0.0], np.float64)
            is_sound = isinstance(rule.num_neighbours, int) and min(positive) > 0 and 0 <= rule.doubt <= 1
            is_sound = is_sound and bool(np.isfinite(numbers).all())
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"this is no rule of a vote: {error}") from error
        if not is_sound:
            raise ValueError("this is no rule of a vote: a number is out of range")
        return rule

    def shares(self, cosines: NDArray[np.float32], codes: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
        """What neighbours say of n queries.

        What is similar enough is of one of the classes, as a classifier would have it, whose shares sum to 1; what is
        less similar is unknown before all, and of the classes with what remains.

        Args:
            cosines: Similarity of each query's most similar videos, best first, -inf for none, `float32 [n, k]`.
            codes: Their classes, from 0 to K - 1, `int64 [n, k]`.
            num_classes: K, at least 1.

        Returns:
            Shares of the classes and, last, of what is of none, `float64 [n, K + 1]`. All is unknown where nobody
            votes.
        """
        known = self.class_shares(cosines, codes, num_classes)
        unknown = np.where(np.isfinite(cosines).any(axis=1), 0.0, 1.0)
        if self.min_similarity is not None:
            best = known.max(axis=1)
            similarity = self.similarity(cosines, best)
            below = similarity < self.min_similarity
            unknown[below] = unknown_shares(
                best[below],
                similarity[below],
                min_similarity=self.min_similarity,
                temperature=self.unknown_temperature,
            )
        return np.concatenate([(1 - unknown[:, None]) * known, unknown[:, None]], axis=1)

    def class_shares(
        self, cosines: NDArray[np.float32], codes: NDArray[np.int64], num_classes: int
    ) -> NDArray[np.float64]:
        """Shares of the classes alone, as if each query were of one of them: `float64 [n, K]`."""
        return class_shares(
            cosines[:, : self.num_neighbours],
            codes[:, : self.num_neighbours],
            num_classes,
            temperature=self.temperature,
            sharpness=self.sharpness,
            doubt=self.doubt,
        )

    def similarity(self, cosines: NDArray[np.float32], best: NDArray[np.float64]) -> NDArray[np.float64]:
        """`best_similarity` of the neighbours that vote, from the share of the best class, `float64 [n]`."""
        return best_similarity(cosines[:, : self.num_neighbours], best, temperature=self.temperature)
