"""Figures: one row per method and view, and one per class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

__all__ = [
    "FUSED",
    "KS",
    "LEARNED",
    "NEIGHBOURS",
    "NOT_IN_TABLES",
    "ClassMetrics",
    "ViewMetrics",
    "class_metrics",
    "column_title",
    "recall_at_k",
    "top_k",
]

FUSED = "ensemble"
LEARNED = "ensemble_learned"
# Neighbours among which retrieval looks.
KS = (1, 5, 10, 20, 50)
# Training videos that vote.
NEIGHBOURS = 20
# Figures for programs; tables are wide enough without.
NOT_IN_TABLES = frozenset({"best_moment_R@5", "ordered_R@5"})


def column_title(figure: str) -> str:
    """What tables call a figure, such as `kNN top-1`."""
    return figure.replace("_", " ").replace("top", "top-").replace("knn", "kNN")


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
        few_shot: k → top-1 of a linear probe with k labels per class, mean over draws.
        classifier_top1: the classifier trained with the encoder; None where there is none.
        classifier_top5: likewise, true class among the five most probable ones.
        weights: `probe_rgb`, `retrieval_rgb`, … → the view's weight in an ensemble whose weights are not equal;
            `ordered_probe_rgb`, … for ordered features.
        ordered_probe_top1: linear probe on ordered features (`ordered_feature`), top-1; None where there are none.
        ordered_recall: k → R@k of ordered features, for k of 1 and 5.
        best_moment_recall: k → R@k where two videos are as alike as their most similar clips, for k of 1 and 5; empty
            where clips were not kept.
    """

    method: str
    view: str
    probe_top1: float
    recall: Mapping[int, float]
    knn_top1: float
    gallery_size: int
    few_shot: Mapping[int, float] = field(default_factory=dict)
    classifier_top1: float | None = None
    classifier_top5: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    ordered_probe_top1: float | None = None
    ordered_recall: Mapping[int, float] = field(default_factory=dict)
    best_moment_recall: Mapping[int, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All figures that were counted, by the name of their column."""
        of_classifier = {"classifier_top1": self.classifier_top1, "classifier_top5": self.classifier_top5}
        of_order = {"ordered_probe_top1": self.ordered_probe_top1}
        return {
            "probe_top1": self.probe_top1,
            **{name: value for name, value in of_classifier.items() if value is not None},
            "knn_top1": self.knn_top1,
            **{f"R@{k}": value for k, value in self.recall.items()},
            **{f"best_moment_R@{k}": value for k, value in self.best_moment_recall.items()},
            **{name: value for name, value in of_order.items() if value is not None},
            **{f"ordered_R@{k}": value for k, value in self.ordered_recall.items()},
            **{f"probe_{k}_per_class": value for k, value in self.few_shot.items()},
        }

    def to_dict(self) -> dict[str, object]:
        """Flat, for JSON; figures that were not counted are left out."""
        weights = {f"weight_{name}": value for name, value in self.weights.items()}
        return {"method": self.method, "view": self.view, **self.figures, "gallery_size": self.gallery_size, **weights}


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


def top_k(probabilities: NDArray[np.float64], targets: NDArray[np.int64], k: int) -> float:
    """Share of videos whose class is among the k most probable, in per cent.

    Args:
        probabilities: `float64 [U, K]`.
        targets: `int64 [U]`.
        k: of equally probable classes the first ones count.
    """
    most_probable = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]  # [U, k]
    return 100.0 * float((most_probable == targets[:, None]).any(axis=1).mean())


def recall_at_k(
    nearest: NDArray[np.int64],
    query_labels: NDArray[np.str_],
    gallery_labels: NDArray[np.str_],
    *,
    ks: Sequence[int] = KS,
) -> dict[int, float]:
    """Share of queries with at least one video of their class among the k most similar ones of the gallery.

    The literature calls this hit rate R@k.

    Args:
        nearest: positions in the gallery, best first, as `nearest_neighbours` finds them, `int64 [Q, ≥ max(ks)]`, or of
            the whole gallery.
        query_labels: `str [Q]`.
        gallery_labels: `str [G]`.
        ks: numbers of neighbours to look at; one beyond the gallery looks at all of it.

    Returns:
        k → share in 0..1.
    """
    is_hit = gallery_labels[nearest] == query_labels[:, None]  # [Q, max k]
    return {k: float(is_hit[:, :k].any(axis=1).mean()) for k in ks}
