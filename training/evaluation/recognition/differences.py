"""Whether two methods differ by more than chance: counted on the same test videos, one by one.

A figure's own standard error says how it would vary with other test videos. Most of that variation two methods share,
as the hard videos are hard for both, so their difference is judged by the videos that only one of them has right.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.training.evaluation.recognition.result import EvaluationResult

__all__ = ["Difference", "differences"]

# What is compared: the same figure of both, never one of a classifier with one of a probe.
_COMPARED = ("probe_top1", "classifier_top1", "R@1", "search_R@1", "ordered_R@1")
# Standard errors beyond which a difference is none of chance, at about 5 %.
_BEYOND = 2.0


@dataclass(frozen=True, slots=True)
class Difference:
    """What a method gains over another in one figure.

    Attributes:
        view: row of the method.
        figure: name of the figure.
        method: the other method.
        gain: in points of per cent; negative where the other is better.
        standard_error: of the gain if neither were better, likewise (McNemar, Psychometrika 12, 1947).
    """

    view: str
    figure: str
    method: str
    gain: float
    standard_error: float

    @property
    def is_beyond_error(self) -> bool:
        """Whether the gain, or the loss, is more than twice its standard error."""
        return abs(self.gain) > _BEYOND * self.standard_error


def differences(result: EvaluationResult, other: EvaluationResult) -> tuple[Difference, ...]:
    """What a method gains over another, row by row; each row over the other's only one where that has only one.

    Returns:
        None at all where the two were not counted on the same test videos.
    """
    if result.videos != other.videos or not np.array_equal(result.truth, other.truth):
        return ()
    found = []
    for view, own in result.hits.items():
        theirs = other.hits.get(view) or (next(iter(other.hits.values())) if len(other.hits) == 1 else {})
        found += [
            _difference(view, name, other.method, own[name], theirs[name])
            for name in _COMPARED
            if name in own and name in theirs
        ]
    return tuple(found)


def _difference(view: str, figure: str, method: str, own: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Difference:
    gained, lost = int((own & ~theirs).sum()), int((theirs & ~own).sum())
    return Difference(
        view, figure, method, 100.0 * (gained - lost) / len(own), 100.0 * (gained + lost) ** 0.5 / len(own)
    )
