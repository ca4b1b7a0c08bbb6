"""What a training was good for: trained encoders beside untrained ones and their start, on held-out videos, in words.

verdict = judge(held_out, {"untrained": …, "start": …, "trained": …})
verdict.lines()      # a table, and what follows from it
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.training.evaluation.recognition.metrics import FUSED
from cocon.training.evaluation.recognition.result import EvaluationResult

__all__ = ["START", "TRAINED", "UNTRAINED", "Gain", "TrainingVerdict", "judged"]

UNTRAINED, START, TRAINED = "untrained", "start", "trained"
_FIGURES = ("probe_top1", "R@1")
# What a reader does next, by what was found.
_UNTRAINED_REMEDY = (
    "try a longer training (training.steps), a start from packed encoders (--init-from), other views, or see what a "
    "baseline that learns nothing reaches: cocon evaluate RUN --baseline flow-histogram"
)
_START_REMEDY = "train on more gently: --set optimizer.backbone_learning_rate_share=0.1"


@dataclass(frozen=True, slots=True)
class Gain:
    """What the trained encoders gain over others: mean of probe and R@1 over all views and the fused ones.

    Attributes:
        over: the others, `untrained` or `start`.
        points: of per cent; negative where the others are better.
        standard_error: over the held-out videos, each of which is counted once.
    """

    over: str
    points: float
    standard_error: float

    @property
    def is_better(self) -> bool:
        """Whether it gains more than its standard error."""
        return self.points > self.standard_error

    @property
    def is_worse(self) -> bool:
        """Whether it loses more than its standard error."""
        return -self.points > self.standard_error


@dataclass(frozen=True, slots=True)
class TrainingVerdict:
    """Figures of every network on the same held-out videos, and what the trained one gains.

    Attributes:
        judged_on: which videos, in words.
        figures: network → row (a view, or `ensemble`) → `probe_top1` and `R@1`, in per cent.
        gains: of the trained one over each other.
        keeps_start: whether the run is left with the encoders that it began with, as trained ones are worse.
    """

    judged_on: str
    figures: Mapping[str, Mapping[str, Mapping[str, float]]]
    gains: tuple[Gain, ...]
    keeps_start: bool = False

    @property
    def conclusions(self) -> tuple[str, ...]:
        """What follows, a sentence for each other network, with what to try where nothing is gained."""
        return tuple(_conclusion(gain, keeps_start=self.keeps_start) for gain in self.gains)

    def lines(self) -> Iterator[str]:
        """The table, then the conclusions."""
        yield f"on {self.judged_on}, probe top-1 / R@1 in %:"
        names = list(self.figures)
        yield "".join(["  ", f"{'':10}", *(f"{name:>16}" for name in names)])
        for row in self.figures[TRAINED]:
            cells = [" / ".join(f"{self.figures[name][row][figure]:5.1f}" for figure in _FIGURES) for name in names]
            yield "".join(["  ", f"{'fused' if row == FUSED else row:10}", *(f"{cell:>16}" for cell in cells)])
        yield from self.conclusions

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [
            {"network": name, "view": view, **{figure: round(value, 2) for figure, value in figures.items()}}
            for name, views in self.figures.items()
            for view, figures in views.items()
        ]
        gains = [
            {
                "over": gain.over,
                "points": round(gain.points, 2),
                "standard_error": round(gain.standard_error, 2),
                "is_better": gain.is_better,
            }
            for gain in self.gains
        ]
        found = {"judged_on": self.judged_on, "rows": rows, "gains": gains, "conclusions": list(self.conclusions)}
        return found | {"keeps_start": self.keeps_start}


def judged(results: Mapping[str, EvaluationResult], judged_on: str, *, may_keep_start: bool = False) -> TrainingVerdict:
    """The verdict of figures counted on the same videos, those of `trained` among them.

    Args:
        results: network → figures.
        judged_on: which videos, in words.
        may_keep_start: whether a run takes its start back where trained encoders are worse.
    """
    figures = {
        name: {row.view: {"probe_top1": row.probe_top1, "R@1": row.recall[1]} for row in result.metrics}
        for name, result in results.items()
    }
    own = results[TRAINED]
    gains = tuple(_gain(name, own, other) for name, other in results.items() if name != TRAINED)
    is_worse = any(gain.over == START and gain.is_worse for gain in gains)
    return TrainingVerdict(judged_on, figures, gains, keeps_start=is_worse and may_keep_start)


def _gain(name: str, own: EvaluationResult, other: EvaluationResult) -> Gain:
    rows = [row for row in own.hits if row in other.hits]
    differences = _scores(own, rows) - _scores(other, rows)  # [U]
    # Where all videos have the same outcome that is no certainty: one more could have another.
    scatter = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    error = max(scatter, 1.0 / len(differences)) / len(differences) ** 0.5
    return Gain(name, 100.0 * float(differences.mean()), 100.0 * error)


def _scores(result: EvaluationResult, rows: list[str]) -> NDArray[np.float64]:
    """Share of the figures by which each video counts, `float64 [U]`."""
    return np.mean([result.hits[row][figure] for row in rows for figure in _FIGURES], axis=0, dtype=np.float64)


def _conclusion(gain: Gain, *, keeps_start: bool) -> str:
    by = f"{gain.points:+.1f} ± {gain.standard_error:.1f} points"
    if gain.over == UNTRAINED:
        return (
            f"better than untrained: {by}" if gain.is_better else f"no better than untrained: {by}; {_UNTRAINED_REMEDY}"
        )
    if gain.is_worse:
        kept = "the encoders that it began with are kept" if keeps_start else "its start is the better one"
        return f"worse than its start: {by}; {kept}; {_START_REMEDY}"
    return f"{'better than' if gain.is_better else 'as good as'} its start: {by}"
