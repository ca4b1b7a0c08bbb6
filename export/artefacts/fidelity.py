"""What the gate of variants finds, and the bound that they must reach: they compute almost what the reference does.

    figures = measure_fidelity(reference, candidate, videos, source="videos of 'figures'")
    FidelityBound(mean_cosine=0.99).check(figures)

With labels, every query counts for both models, so a difference is told by the queries on which they disagree alone;
without labels, by the neighbours that both find. `variant_comparison` measures it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import GateError

__all__ = ["Fidelity", "FidelityBound", "PairedFigure", "paired_figure"]

_LEAST_OVERLAP = 0.95
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class PairedFigure:
    """A share of queries, by the reference and by the variant.

    Attributes:
        reference: per cent.
        variant: per cent.
        low: lower end of the 95 % interval of variant - reference, in per cent points.
        high: upper end.
    """

    reference: float
    variant: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.reference:.1f} → {self.variant:.1f} % (difference {self.low:+.1f} to {self.high:+.1f})"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How near a variant comes to its reference.

    Attributes:
        mean_cosine: of corresponding vectors of the queries; the lower of the means of embeddings and blocks.
        min_cosine: smallest of them.
        num_videos: that both embedded.
        num_clips: of them.
        source: whose videos, in words.
        neighbour_overlap: share of the ten nearest videos of each that both find, 0..1.
        figures: `R@1`, `mixed R@1` (the variant's queries among vectors of the reference, as in an index that both
            have filled), `probe` and, with a classifier, `classifier`; nothing without labels.
    """

    KEY: ClassVar[str] = "fidelity"

    mean_cosine: float
    min_cosine: float
    num_videos: int
    num_clips: int
    source: str
    neighbour_overlap: float
    figures: Mapping[str, PairedFigure] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"mean cosine {self.mean_cosine:.4f}, least {self.min_cosine:.4f}"]
        parts += [f"{name} {figure}" for name, figure in self.figures.items()]
        parts.append(f"{self.neighbour_overlap:.0%} of the ten nearest the same")
        return f"{'; '.join(parts)}; {self.num_clips} clips of {self.num_videos} {self.source}"

    def to_json(self) -> str:
        """All of it, for the `parameters` of a model configuration."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        figures = {name: PairedFigure(**figure) for name, figure in content["figures"].items()}
        return cls(**content | {"figures": figures})


@dataclass(frozen=True, slots=True)
class FidelityBound:
    """What a variant must reach.

    Attributes:
        mean_cosine: see `Fidelity`, as the next.
        min_cosine: likewise.
    """

    mean_cosine: float = -1.0
    min_cosine: float = -1.0

    def __str__(self) -> str:
        bounds = {"mean cosine": self.mean_cosine, "every cosine": self.min_cosine}
        return ", ".join(f"{name} at least {bound:g}" for name, bound in bounds.items() if bound > -1)

    def check(self, found: Fidelity) -> None:
        """Refuse a variant that is too far off.

        Raises:
            GateError: a cosine is too small; with labels, a figure is below the reference's beyond its interval;
                without, fewer than 95 % of the nearest videos are the same.
        """
        problems = []
        # Written so that a NaN fails too.
        if not (found.mean_cosine >= self.mean_cosine and found.min_cosine >= self.min_cosine):
            problems.append(f"must have {self}")
        problems += [f"{name} is below the reference's" for name, each in found.figures.items() if not each.high >= 0]
        if not found.figures and not found.neighbour_overlap >= _LEAST_OVERLAP:
            problems.append(f"must find {_LEAST_OVERLAP:.0%} of the same neighbours")
        if problems:
            raise GateError(f"{', '.join(problems)}: {found}")


def paired_figure(is_right: NDArray[np.bool_], is_right_too: NDArray[np.bool_]) -> PairedFigure:
    """Shares of the same queries that two models answer rightly, and the exact interval of their difference.

    The queries that both answer alike say nothing of the difference; of the others, the share that the second model
    wins is binomial (McNemar's test), and its Clopper-Pearson interval is that of the difference.

    Args:
        is_right: whether the reference answers each query rightly, `bool [Q]`.
        is_right_too: whether the variant does.
    """
    from scipy.stats import binomtest

    gained, lost = int((is_right_too & ~is_right).sum()), int((is_right & ~is_right_too).sum())
    differing, low, high = gained + lost, 0.0, 0.0
    if differing:
        share = binomtest(gained, differing).proportion_ci(_CONFIDENCE, method="exact")
        low, high = (100.0 * differing / len(is_right) * (2.0 * float(end) - 1.0) for end in (share.low, share.high))
    return PairedFigure(100.0 * float(is_right.mean()), 100.0 * float(is_right_too.mean()), low, high)
