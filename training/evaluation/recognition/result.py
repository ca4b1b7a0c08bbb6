"""What is known of one method after its embeddings were evaluated: figures, and what they were counted from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from cocon.core.errors import UsageError
from cocon.embedding.neighbours import label_vote, nearest_by_best_moment, nearest_neighbours
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import (
    FUSED,
    KS,
    LEARNED,
    NEIGHBOURS,
    ClassMetrics,
    ViewMetrics,
    class_metrics,
    recall_at_k,
    top_k,
)
from cocon.training.evaluation.recognition.predictions import (
    Ensemble,
    VideoPredictions,
    ensemble_predictions,
    view_predictions,
)

__all__ = ["DEFAULT_OPTIONS", "EvaluationResult", "MetricOptions", "evaluate_features"]

_logger = logging.getLogger(__name__)
_ROW_NAMES: Mapping[Ensemble, str] = {"equal": FUSED, "learned": LEARNED, "paper": f"{FUSED}_paper"}
_FEW = (1, 5, 10)
_FEW_KS = (1, 5)  # of ordered features and best moments


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """What is counted, and how.

    Attributes:
        is_centred: retrieval and vote on embeddings without the mean of their set.
        has_few_shot: probes with 1, 5 and 10 labels per class, as far as every class has that many training videos.
        ensembles: how the views are weighed; `learned` needs two groups of training videos and is left out without.
    """

    is_centred: bool = False
    has_few_shot: bool = False
    ensembles: tuple[Ensemble, ...] = ("equal", "learned")


DEFAULT_OPTIONS = MetricOptions()


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Figures of one method and the predictions behind them. Mappings go by view, and by ensemble as in `ViewMetrics`.

    Attributes:
        method: `random`, `cpc`, …: how the run's encoders were pre-trained, and its folder where that is ambiguous.
        labels: K class names, sorted: the columns of `probabilities`, rows and columns of `confusion`.
        truth: class of each test video, `str [U]`.
        metrics: one per view, then the ensembles.
        probabilities: class probabilities of the test videos, by the classifier trained with the encoder where there
            is one, else by the linear probe; `float64 [U, K]`.
        predicted: the most probable class, `str [U]`.
        confusion: test videos of class i (row) that were called j (column), `int64 [K, K]`.
        per_class: one row per class, in the order of `labels`.
    """

    method: str
    labels: tuple[str, ...]
    truth: NDArray[np.str_]
    metrics: tuple[ViewMetrics, ...]
    probabilities: Mapping[str, NDArray[np.float64]]
    predicted: Mapping[str, NDArray[np.str_]]
    confusion: Mapping[str, NDArray[np.int64]]
    per_class: Mapping[str, tuple[ClassMetrics, ...]]


def evaluate_features(
    features: Mapping[str, VideoFeatures], method: str, options: MetricOptions = DEFAULT_OPTIONS
) -> EvaluationResult:
    """Evaluate the embeddings of every view and, if there are several, of their ensembles.

    An ensemble's probe and classifier are the weighted mean of the views' class probabilities; its retrieval and vote
    use the fused embedding. Ordered features, where there are any, are evaluated in the same way, with learned weights
    of their own.

    Args:
        features: split (`train`, `test`) → embeddings of its videos.
        method: what to call them.
        options: what is counted.

    Raises:
        UsageError: the training videos are all of one class.
    """
    train, test = features["train"], features["test"]
    classes, sizes = np.unique(train.labels, return_counts=True)
    if len(classes) < 2:
        raise UsageError(
            f"training videos that could be read are all of class '{classes[0]}'; a probe needs two classes: mend the "
            "videos that failed, or label others"
        )
    knows_classes = bool(set(test.classes) & set(test.labels.tolist()))
    if test.classes and not knows_classes:
        _logger.warning("the classifier of '%s' knows no class of the test videos and is not judged", method)
    labels = sorted({*train.labels.tolist(), *test.labels.tolist(), *(test.classes if knows_classes else ())})
    few_shot = [k for k in _FEW if k <= sizes.min()] if options.has_few_shot else []
    rows = _rows(features, labels, options, few_shot=few_shot)
    ordered = _rows({split: _ordered(videos) for split, videos in features.items()}, labels, options)
    probabilities = {view: row.probe if row.classifier is None else row.classifier for view, row in rows.items()}
    predicted = {view: np.array(labels)[table.argmax(axis=1)] for view, table in probabilities.items()}
    return EvaluationResult(
        method=method,
        labels=tuple(labels),
        truth=test.labels,
        metrics=tuple(
            _metrics(method, view, row, ordered.get(view), labels, train, test) for view, row in rows.items()
        ),
        probabilities=probabilities,
        predicted=predicted,
        confusion={view: confusion_matrix(test.labels, named, labels=labels) for view, named in predicted.items()},
        per_class={view: class_metrics(test.labels, named, labels) for view, named in predicted.items()},
    )


def _rows(
    features: Mapping[str, VideoFeatures],
    labels: Sequence[str],
    options: MetricOptions,
    *,
    few_shot: Sequence[int] = (),
) -> dict[str, VideoPredictions]:
    """What every view says, then every ensemble, by the name of its row."""
    train = features["train"]
    views = {
        view: view_predictions(features, view, labels, few_shot=few_shot, is_centred=options.is_centred)
        for view in train.embeddings
    }
    rows = dict(views)
    for how in options.ensembles if len(views) > 1 else ():
        if (row := ensemble_predictions(views, how, train, labels)) is not None:
            rows[_ROW_NAMES[how]] = row
    return rows


def _ordered(videos: VideoFeatures) -> VideoFeatures:
    """The same videos, their ordered features in place of embeddings."""
    return replace(videos, embeddings=videos.ordered, probabilities={}, classes=(), clips={})


def _metrics(
    method: str,
    view: str,
    row: VideoPredictions,
    ordered: VideoPredictions | None,
    labels: Sequence[str],
    train: VideoFeatures,
    test: VideoFeatures,
) -> ViewMetrics:
    targets = np.searchsorted(labels, test.labels)
    cosines, nearest = nearest_neighbours(row.queries, row.gallery, max(*KS, NEIGHBOURS))
    recall = recall_at_k(nearest, test.labels, train.labels)
    votes = label_vote(cosines[:, :NEIGHBOURS], train.labels[nearest[:, :NEIGHBOURS]], labels)
    metrics = ViewMetrics(
        method=method,
        view=view,
        probe_top1=top_k(row.probe, targets, 1),
        recall={k: 100.0 * share for k, share in recall.items()},
        knn_top1=top_k(votes, targets, 1),
        gallery_size=len(train.labels),
        few_shot={
            k: float(np.mean([top_k(table, targets, 1) for table in tables])) for k, tables in row.few_shot.items()
        },
        classifier_top1=None if row.classifier is None else top_k(row.classifier, targets, 1),
        classifier_top5=None if row.classifier is None else top_k(row.classifier, targets, 5),
        weights=row.weights,
        best_moment_recall=_best_moment_recall(row, train, test),
    )
    if ordered is None:
        return metrics
    _, nearest = nearest_neighbours(ordered.queries, ordered.gallery, max(_FEW_KS))
    ordered_recall = recall_at_k(nearest, test.labels, train.labels, ks=_FEW_KS)
    return replace(
        metrics,
        ordered_probe_top1=top_k(ordered.probe, targets, 1),
        ordered_recall={k: 100.0 * share for k, share in ordered_recall.items()},
        weights={**row.weights, **{f"ordered_{name}": weight for name, weight in ordered.weights.items()}},
    )


def _best_moment_recall(row: VideoPredictions, train: VideoFeatures, test: VideoFeatures) -> dict[int, float]:
    if row.query_clips is None or row.gallery_clips is None:
        return {}
    nearest = nearest_by_best_moment(row.query_clips, test.num_clips, row.gallery_clips, train.num_clips, max(_FEW_KS))
    return {k: 100.0 * share for k, share in recall_at_k(nearest, test.labels, train.labels, ks=_FEW_KS).items()}
