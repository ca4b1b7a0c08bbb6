"""What is known of one method after its embeddings were judged: figures of merit, and what they were counted from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from cocon.embedding.fusion import fuse_embeddings
from cocon.training.evaluation.features import VideoFeatures
from cocon.training.evaluation.probe import linear_probe
from cocon.training.evaluation.retrieval import recall_at_k

__all__ = ["FUSED", "ClassMerit", "Judgement", "Merit", "judge_features"]

FUSED = "ensemble"
_KS = (1, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class Merit:
    """How good one view's embeddings are; all figures in per cent.

    Attributes:
        method: `random`, `cpc`, … or what the run was trained with.
        view: name of the view, or `ensemble` for all of them fused.
        probe_top1: linear probe, top-1.
        recall: k → R@k.
    """

    method: str
    view: str
    probe_top1: float
    recall: Mapping[int, float]

    def to_dict(self) -> dict[str, object]:
        """Flat, for tables and JSON."""
        return {key: value for key, value in asdict(self).items() if key != "recall"} | {
            f"R@{k}": value for k, value in self.recall.items()
        }


@dataclass(frozen=True, slots=True)
class ClassMerit:
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """Figures of one method and the predictions behind them. Mappings go by view; `ensemble` is all views fused.

    Attributes:
        method: `random`, `cpc`, … or what the run was trained with.
        labels: K class names, sorted: the columns of `probabilities`, rows and columns of `confusion`.
        truth: class of each test video, `str [U]`.
        merits: one per view, then the fused ones.
        probabilities: class probabilities of the test videos by the linear probe, `float64 [U, K]`.
        predicted: the most probable class, `str [U]`.
        confusion: test videos of class i (row) that were called j (column), `int64 [K, K]`.
        per_class: one row per class, in the order of `labels`.
    """

    method: str
    labels: tuple[str, ...]
    truth: NDArray[np.str_]
    merits: tuple[Merit, ...]
    probabilities: Mapping[str, NDArray[np.float64]]
    predicted: Mapping[str, NDArray[np.str_]]
    confusion: Mapping[str, NDArray[np.int64]]
    per_class: Mapping[str, tuple[ClassMerit, ...]]


def judge_features(features: Mapping[str, VideoFeatures], method: str) -> Judgement:
    """Judge the embeddings of every view and, if there are several, of their fusion.

    The fused probe is the mean of the views' class probabilities, the fused retrieval uses the fused embedding.

    Args:
        features: split (`train`, `test`) → embeddings of its videos.
        method: what to call them.
    """
    train, test = features["train"], features["test"]
    labels = tuple(sorted({*train.labels.tolist(), *test.labels.tolist()}))
    columns = np.searchsorted(labels, np.unique(train.labels))
    probabilities = {}
    for view, embeddings in train.embeddings.items():
        known = linear_probe(embeddings, train.labels, train.groups, test.embeddings[view])
        probabilities[view] = np.zeros((len(test.labels), len(labels)))  # [U, K]
        probabilities[view][:, columns] = known  # a class without training videos is never predicted
    galleries, queries = dict(train.embeddings), dict(test.embeddings)
    if len(probabilities) > 1:
        probabilities[FUSED] = np.mean(list(probabilities.values()), axis=0)
        galleries[FUSED], queries[FUSED] = fuse_embeddings(train.embeddings), fuse_embeddings(test.embeddings)
    predicted = {view: np.array(labels)[scores.argmax(axis=1)] for view, scores in probabilities.items()}
    merits = [
        Merit(
            method,
            view,
            100.0 * float((named == test.labels).mean()),
            _recall(galleries[view], queries[view], train, test),
        )
        for view, named in predicted.items()
    ]
    return Judgement(
        method=method,
        labels=labels,
        truth=test.labels,
        merits=tuple(merits),
        probabilities=probabilities,
        predicted=predicted,
        confusion={view: confusion_matrix(test.labels, named, labels=labels) for view, named in predicted.items()},
        per_class={view: _per_class(test.labels, named, labels) for view, named in predicted.items()},
    )


def _recall(
    gallery: NDArray[np.float32], queries: NDArray[np.float32], train: VideoFeatures, test: VideoFeatures
) -> dict[int, float]:
    shares = recall_at_k(queries, test.labels, gallery, train.labels, ks=_KS)
    return {k: 100.0 * share for k, share in shares.items()}


def _per_class(truth: NDArray[np.str_], predicted: NDArray[np.str_], labels: Sequence[str]) -> tuple[ClassMerit, ...]:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    return tuple(
        ClassMerit(label, 100.0 * float(precision[i]), 100.0 * float(recall[i]), 100.0 * float(f1[i]), int(support[i]))
        for i, label in enumerate(labels)
    )
