"""The rule of a vote, chosen by leaving out one video after the other, and its whole class.

The class shares are those under which the classes of the videos left out are most likely. A video is of no class below
the similarity that best tells those left out from those whose class was left out with them.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.vote.left_out import LeaveOneOut, Neighbours, leave_out
from cocon.client.index.vote.rule import VoteRule
from cocon.client.index.vote.shares import sharpened, unknown_shares
from cocon.embedding.neighbours import label_vote

__all__ = ["MAX_NEIGHBOURS", "choose_rule"]

MAX_NEIGHBOURS = 100
"""Most videos that vote."""

_NEIGHBOURS = (1, 3, 10, 30, MAX_NEIGHBOURS)
_TEMPERATURES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.2, 0.4)
_SHARPNESSES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
# As Wu et al. and `knn_top1` have them, where no class has a second video to choose by.
_DEFAULT_NEIGHBOURS, _DEFAULT_TEMPERATURE = 20, 0.07


def choose_rule(vectors: NDArray[np.float32], rows: RowTable, labels: Sequence[str | None]) -> VoteRule:
    """Choose how the labelled videos of an index vote.

    Args:
        vectors: Unit length, `float32 [R, D]`.
        rows: Which are whose, V videos.
        labels: Of these videos, V of them, None or empty for a video without one.

    Returns:
        The rule; the same for the same videos.

    Raises:
        ValueError: No video has a label.
    """
    counts = Counter(label for label in labels if label)
    if not counts:
        raise ValueError("no video has a label")
    code_of = {label: code for code, label in enumerate(sorted(counts))}
    positions = np.array([place for place, label in enumerate(labels) if label], np.int64)
    codes = np.array([code_of[label] for label in labels if label], np.int64)
    found = leave_out(vectors, rows, positions, codes, MAX_NEIGHBOURS)
    rule = _chosen_vote(found, counts)
    known, strange = (_scores(neighbours, rule, len(counts)) for neighbours in (found.known, found.strange))
    min_similarity, balanced_accuracy = _chosen_border(known.similarity, strange.similarity)
    return replace(
        rule,
        min_similarity=min_similarity,
        unknown_temperature=_chosen_slope(known, strange, min_similarity),
        accuracy=float(known.is_right.mean()) if len(known.is_right) else None,
        balanced_accuracy=balanced_accuracy,
    )


@dataclass(frozen=True, slots=True)
class _Scores:
    """What the vote says of n videos: share of the best class, `best_similarity`, and whether it is theirs."""

    best: NDArray[np.float64]
    similarity: NDArray[np.float64]
    is_right: NDArray[np.bool_]


def _chosen_vote(found: LeaveOneOut, counts: Mapping[str, int]) -> VoteRule:
    """A rule that knows all classes, under which those of the videos are most likely."""
    known, num_classes = found.known, len(counts)
    rule = VoteRule(
        num_neighbours=_DEFAULT_NEIGHBOURS,
        temperature=_DEFAULT_TEMPERATURE,
        sharpness=1.0,
        doubt=1 / (len(known.own) + 2),  # rule of succession: nothing that was seen n times is surer
        min_similarity=None,
        unknown_temperature=_DEFAULT_TEMPERATURE,
        accuracy=None,
        balanced_accuracy=None,
        num_videos=found.num_videos,
        label_counts=dict(sorted(counts.items())),
    )
    places, least = _places(known), np.inf
    for k, temperature in itertools.product(_NEIGHBOURS, _TEMPERATURES) if len(known.own) else ():
        classes = range(int(places[:, :k].max()) + 1)
        votes = label_vote(known.cosines[:, :k], places[:, :k], classes, temperature=temperature)
        for sharpness in _SHARPNESSES:
            own = sharpened(votes, num_classes, sharpness=sharpness)[:, 0]
            surprise = -float(np.log((1 - rule.doubt) * own + rule.doubt / num_classes).mean())
            if surprise < least:
                least = surprise
                rule = replace(rule, num_neighbours=k, temperature=temperature, sharpness=sharpness)
    return rule


def _places(known: Neighbours) -> NDArray[np.int64]:
    """Classes of neighbours, numbered anew for each video: 0 its own, others as they come: `int64 [n, k]`."""
    places = np.zeros(known.codes.shape, np.int64)
    counts = np.ones(len(places), np.int64)
    for column, codes in enumerate(known.codes.T):
        is_same = known.codes[:, :column] == codes[:, None]
        earlier = np.where(is_same, places[:, :column], -1).max(axis=1, initial=-1)
        places[:, column] = np.where(codes == known.own, 0, np.where(earlier >= 0, earlier, counts))
        counts = np.maximum(counts, places[:, column] + 1)
    return places


def _scores(found: Neighbours, rule: VoteRule, num_classes: int) -> _Scores:
    shares = rule.class_shares(found.cosines, found.codes, num_classes)
    best = shares.max(axis=1)
    return _Scores(best, rule.similarity(found.cosines, best), shares.argmax(axis=1) == found.own)


def _chosen_border(known: NDArray[np.float64], strange: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The similarity from which on a video counts as known, and the balanced accuracy with it."""
    if not len(known) or not len(strange):  # what is known of one kind is all on its side
        border = max(strange, default=None) if len(strange) else min(known, default=None)
        return None if border is None else float(border), None
    values = np.unique(np.concatenate([known, strange]))
    # Borders between two neighbouring values: those that are not smaller are known.
    num_known = len(known) - np.searchsorted(np.sort(known), values)
    num_strange = np.searchsorted(np.sort(strange), values)
    balanced = (num_known / len(known) + num_strange / len(strange)) / 2
    if balanced.max() <= 0.5:
        return None, None
    gaps = np.diff(values, prepend=values[0])
    place = np.flatnonzero(balanced == balanced.max())
    place = place[gaps[place].argmax()]
    return float(values[place] - gaps[place] / 2), float(balanced[place])


def _chosen_slope(known: _Scores, strange: _Scores, min_similarity: float | None) -> float:
    """How fast the share of what is of no class falls, so that it is most likely: Platt, 1999, and his targets."""
    if min_similarity is None or not len(known.best) or not len(strange.best):
        return _DEFAULT_TEMPERATURE

    def surprise(temperature: float) -> float:
        total = 0.0
        for scores, is_strange in ((known, False), (strange, True)):
            shares = unknown_shares(
                scores.best, scores.similarity, min_similarity=min_similarity, temperature=temperature
            )
            right = np.clip(shares if is_strange else 1 - shares, 1e-12, 1 - 1e-12)
            smoothed = 1 / (len(right) + 2)
            total -= float(((1 - smoothed) * np.log(right) + smoothed * np.log1p(-right)).mean())
        return total

    return min(_TEMPERATURES, key=surprise)
