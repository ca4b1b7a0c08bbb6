"""Figures: one row per method and view, and one per class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from cocon.training.evaluation.recognition.counting import DEVIATIONS_OF_95, wilson_interval

__all__ = [
    "FUSED",
    "LEARNED",
    "NEIGHBOURS",
    "NOT_IN_TABLES",
    "ClassMetrics",
    "ViewMetrics",
    "class_metrics",
    "column_title",
    "is_figure",
    "shown_figures",
]

FUSED = "ensemble"
LEARNED = "ensemble_learned"
# Training videos that vote.
NEIGHBOURS = 20
# Figures for programs; tables are wide enough without.
NOT_IN_TABLES = frozenset({"best_moment_R@5", "ordered_R@5"})

# Of a flat row, what stands beside its figures: `probe_top1_se`, `probe_top1_chance`.
_ERROR, _CHANCE = "_se", "_chance"
_COUNTS = ("gallery_size", "num_questions", "num_classes")
_NO_FIGURES = frozenset({"method", "view", *_COUNTS, "classifier_not_judged", "differences"})


def column_title(figure: str) -> str:
    """What tables call a figure, such as `kNN top-1`."""
    return figure.replace("_", " ").replace("top", "top-").replace("knn", "kNN")


def is_figure(name: str) -> bool:
    """Whether this name of a flat row (`ViewMetrics.to_dict`) is one of a figure, of which more is better."""
    return not (name in _NO_FIGURES or name.startswith(("weight_", "per_class")) or name.endswith((_ERROR, _CHANCE)))


@dataclass(frozen=True, slots=True)
class ViewMetrics:
    """How good one view's embeddings are; all figures in per cent.

    Attributes:
        method: `random`, `cpc`, …: how the encoders were pre-trained, such as `cocon (runs/a)` where two are alike.
        view: name of the view; or `ensemble` for all of them with equal weights, `ensemble_learned`, `ensemble_paper`.
        probe_top1: linear probe, top-1.
        recall: k → R@k.
        knn_top1: vote of the 20 nearest training videos, top-1.
        gallery_size: training videos; R@k of a k beyond it looks at all of them, and so does the vote.
        num_questions: test videos, of which every figure is a share.
        num_classes: of the data.
        few_shot: k → top-1 of a linear probe with k labels per class, mean over draws.
        classifier_top1: the classifier trained with the encoder; None where there is none.
        classifier_top5: likewise, true class among the five most probable ones.
        weights: `probe_rgb`, `retrieval_rgb`, … → the view's weight in an ensemble whose weights are not equal;
            `ordered_probe_rgb`, … for ordered features.
        ordered_probe_top1: linear probe on ordered features (`ordered_feature`), top-1; None where there are none.
        ordered_recall: k → R@k of ordered features, for k of 1 and 5.
        best_moment_recall: k → R@k where two videos are as alike as their most similar clips, for k of 1 and 5; empty
            where clips were not kept.
        search_recall: R@1 of `client search` as it is by default, see `search.py`; None where it was not counted.
        chance: figure → what guessing reaches: one of the classes, or training videos drawn without looking.
    """

    method: str
    view: str
    probe_top1: float
    recall: Mapping[int, float]
    knn_top1: float
    gallery_size: int
    num_questions: int
    num_classes: int
    few_shot: Mapping[int, float] = field(default_factory=dict)
    classifier_top1: float | None = None
    classifier_top5: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    ordered_probe_top1: float | None = None
    ordered_recall: Mapping[int, float] = field(default_factory=dict)
    best_moment_recall: Mapping[int, float] = field(default_factory=dict)
    search_recall: float | None = None
    chance: Mapping[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All figures that were counted, by the name of their column."""
        of_classifier = {"classifier_top1": self.classifier_top1, "classifier_top5": self.classifier_top5}
        of_order = {"ordered_probe_top1": self.ordered_probe_top1}
        of_search = {} if self.search_recall is None else {"search_R@1": self.search_recall}
        return {
            "probe_top1": self.probe_top1,
            **{name: value for name, value in of_classifier.items() if value is not None},
            "knn_top1": self.knn_top1,
            **{f"R@{k}": value for k, value in self.recall.items()},
            **{f"best_moment_R@{k}": value for k, value in self.best_moment_recall.items()},
            **of_search,
            **{name: value for name, value in of_order.items() if value is not None},
            **{f"ordered_R@{k}": value for k, value in self.ordered_recall.items()},
            **{f"probe_{k}_per_class": value for k, value in self.few_shot.items()},
        }

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Figure → the 95 % interval of a share of so many test videos (`wilson_interval`), in per cent."""
        return {name: wilson_interval(value, self.num_questions) for name, value in self.figures.items()}

    @property
    def standard_errors(self) -> dict[str, float]:
        """Figure → standard error in points of per cent: half of its interval, over 1.96.

        That is the binomial one but for a little, and not 0 where all of a few videos are right. It is the error of
        having drawn these test videos and no others, each by itself: videos of one person or place say less.
        """
        return {name: (high - low) / 2 / DEVIATIONS_OF_95 for name, (low, high) in self.intervals.items()}

    def to_dict(self) -> dict[str, object]:
        """Flat, for JSON; figures that were not counted are left out."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        weights = {f"weight_{name}": value for name, value in self.weights.items()}
        errors = {f"{name}{_ERROR}": value for name, value in self.standard_errors.items()}
        chance = {f"{name}{_CHANCE}": value for name, value in self.chance.items()}
        return {"method": self.method, "view": self.view, **self.figures, **counts, **weights, **errors, **chance}


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """How well one class is recognised.

    Attributes:
        label: the class.
        precision: share of the videos called so that are, in per cent; NaN where none was called so.
        recall: share of the class's videos that were called so, in per cent; NaN where it has none.
        f1: harmonic mean of both, in per cent; NaN where the class was neither called nor there.
        support: test videos of the class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int

    def to_dict(self) -> dict[str, object]:
        """For JSON, which has no NaN: None instead."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


def class_metrics(
    truth: NDArray[np.str_], predicted: NDArray[np.str_], labels: Sequence[str]
) -> tuple[ClassMetrics, ...]:
    """Precision, recall and F1 of each class in `labels`, from true and predicted classes `str [U]`."""
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    return tuple(
        ClassMetrics(
            label, 100.0 * float(precision[i]), 100.0 * float(recall[i]), 100.0 * float(f1[i]), int(support[i])
        )
        for i, label in enumerate(labels)
    )


def shown_figures(row: ViewMetrics) -> dict[str, float]:
    """The figures that a table has room for, by name: none of `NOT_IN_TABLES`, nor a R@k that finds all there is."""
    too_many = {f"R@{k}" for k in row.recall if k >= row.gallery_size}
    return {name: value for name, value in row.figures.items() if name not in NOT_IN_TABLES | too_many}
