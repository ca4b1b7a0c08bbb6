"""What the paper's tables claim, checked against the rows: holds by more than one sd, holds, or does not."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cocon.training.reproduce.rows import Row

__all__ = ["COMPARED", "Claim", "ClaimedRows", "Comparison", "check_claims"]

# Figures of merit that rows are compared by.
COMPARED = ("probe_top1", "R@1", "ordered_probe_top1", "ordered_R@1")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure against another.

    Attributes:
        where: metric and view in words.
        better: mean of what is claimed to be the better one.
        worse: mean of the other one.
        sd: the larger of their two standard deviations.
        seeds: how many they are means of.
    """

    where: str
    better: float
    worse: float
    sd: float
    seeds: int

    @property
    def gain_in_sd(self) -> float:
        """Gain as a multiple of the standard deviation."""
        gain = self.better - self.worse
        return gain / self.sd if self.sd else math.copysign(math.inf, gain)

    @property
    def verdict(self) -> str:
        """`holds` by more than one sd, `within one sd`, `does not hold`; `one seed` decides nothing."""
        gain = self.better - self.worse
        if self.seeds < 2:
            return "one seed"
        return "holds" if gain > self.sd else "within one sd" if gain > 0 else "does not hold"


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement and the comparisons it consists of."""

    statement: str
    comparisons: tuple[Comparison, ...]

    @property
    def holds(self) -> bool:
        """Whether every comparison holds by more than one sd."""
        return all(comparison.verdict == "holds" for comparison in self.comparisons)


def check_claims(rows: Sequence[Row], views: Sequence[str], *, fused: str = "ensemble") -> list[Claim]:
    """Compare the rows as the paper's tables do.

    Args:
        rows: of `collect_rows`, with the rows `random`, `cpc`, `cpc+sim` and `cocon`.
        views: all views of the recipe.
        fused: the ensemble that is compared with the best single view.
    """
    table = ClaimedRows(rows)
    first, metrics = views[0], table.metrics

    def in_every_view(better: str, worse: str) -> tuple[Comparison, ...]:
        return tuple(table.compare(better, worse, view, metric) for metric in metrics for view in views)

    def over_views(better: str, worse: str, what: str = "") -> tuple[Comparison, ...]:
        return tuple(table.compare_means(better, worse, views, metric) for metric in metrics if what in metric)

    claims = [
        Claim("CoCon > random, in every view", in_every_view("cocon", "random")),
        Claim("CoCon > CPC, in every view", in_every_view("cocon", "cpc")),
        Claim("CoCon > CPC, mean over views", over_views("cocon", "cpc")),
        Claim("CPC+sim > CPC, mean over views", over_views("cpc+sim", "cpc", "probe")),
        Claim("CoCon > CPC+sim, mean over views", over_views("cocon", "cpc+sim")),
        Claim(
            "CoCon: fused > best single view", tuple(table.fused_over_best("cocon", views, fused, m) for m in metrics)
        ),
    ]
    for fewer in [f"cocon-{count}-views" for count in range(1, len(views))]:
        if table.has(fewer):
            name = f"CoCon of {len(views)} views > of {fewer.split('-')[1]}, in {first}"
            claims.append(Claim(name, tuple(table.compare("cocon", fewer, first, metric) for metric in metrics)))
    if table.has("published"):
        claims.append(Claim("CoCon, our recipe > the published one, mean over views", over_views("cocon", "published")))
    return claims


class ClaimedRows:
    """Rows by name, view and metric, to be compared.

    Args:
        rows: of `collect_rows`.

    Attributes:
        metrics: those of `COMPARED` that the rows have.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {(row.row, row.view, row.metric): row for row in rows}
        found = {metric for _, _, metric in self._rows}
        self.metrics = [metric for metric in COMPARED if metric in found]

    def has(self, name: str) -> bool:
        """Whether there is a row of that name."""
        return any(row == name for row, _, _ in self._rows)

    def compare(self, better: str, worse: str, view: str, metric: str) -> Comparison:
        """One row against another in a view."""
        one, other = self._rows[better, view, metric], self._rows[worse, view, metric]
        sd, seeds = max(one.sd, other.sd), max(one.seeds, other.seeds)  # what is not drawn anew has one
        return Comparison(f"{view} {metric}", one.mean, other.mean, sd, seeds)

    def compare_means(self, better: str, worse: str, views: Sequence[str], metric: str) -> Comparison:
        """One row against another, each seed's mean over some views."""
        (one, one_sd), (other, other_sd) = (self._mean_over_views(name, views, metric) for name in (better, worse))
        seeds = self._rows[better, views[0], metric].seeds
        return Comparison(f"mean of {len(views)} views {metric}", one, other, max(one_sd, other_sd), seeds)

    def fused_over_best(self, name: str, views: Sequence[str], fused: str, metric: str) -> Comparison:
        """A row's ensemble against its best single view."""
        best = max((self._rows[name, view, metric] for view in views), key=lambda row: row.mean)
        together = self._rows[name, fused, metric]
        return Comparison(
            f"{fused} over {best.view} {metric}", together.mean, best.mean, max(together.sd, best.sd), together.seeds
        )

    def _mean_over_views(self, name: str, views: Sequence[str], metric: str) -> tuple[float, float]:
        """Mean over views of each seed, then mean and sd over seeds."""
        per_seed = [
            statistics.mean(seed) for seed in zip(*(self._rows[name, v, metric].values for v in views), strict=True)
        ]
        return statistics.mean(per_seed), statistics.stdev(per_seed) if len(per_seed) > 1 else 0.0
