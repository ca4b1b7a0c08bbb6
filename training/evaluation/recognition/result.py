"""What is known of one method after its embeddings were evaluated: figures, and what they were counted from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import FUSED, LEARNED, ClassMetrics, ViewMetrics, class_metrics
from cocon.training.evaluation.recognition.predictions import (
    Ensemble,
    VideoPredictions,
    ensemble_predictions,
    view_predictions,
)
from cocon.training.evaluation.recognition.rows import counted_row

__all__ = ["DEFAULT_OPTIONS", "EvaluationResult", "MetricOptions", "Recognition", "evaluate_features"]

_ROW_NAMES: Mapping[Ensemble, str] = {"equal": FUSED, "learned": LEARNED, "paper": f"{FUSED}_paper"}
_FEW = (1, 5, 10)
_NUM_NAMED = 5


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
class Recognition:
    """What the test videos are called, by the probe or by the classifier; mappings go by view and ensemble.

    Attributes:
        labels: class names, sorted: the columns of `probabilities`. A classifier may know more than the data has.
        probabilities: of each test video, `float64 [U, K']`.
        predicted: the most probable class, `str [U]`.
        confusion: test videos of class i of the data (row) that were called class j of the data, `int64 [K, K]`.
        per_class: one row per class of the data, sorted.
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, NDArray[np.float64]]
    predicted: Mapping[str, NDArray[np.str_]]
    confusion: Mapping[str, NDArray[np.int64]]
    per_class: Mapping[str, tuple[ClassMetrics, ...]]


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Figures of one method and the predictions behind them. Mappings go by view, and by ensemble as in `ViewMetrics`.

    Attributes:
        method: `random`, `cpc`, …: how the run's encoders were pre-trained, and its folder where that is ambiguous.
        labels: K class names of the data, sorted, whatever a classifier knows.
        truth: class of each test video, `str [U]`.
        metrics: one per view, then the ensembles.
        by_probe: what the linear probe calls the test videos, which can be compared with any other method's.
        by_classifier: likewise the classifier trained with the encoders; None where it is not judged, or there is none.
        hits: figure by figure, whether each test video counts, `bool [U]`.
        not_judged: why there is a classifier that is not judged, in a sentence; empty else.
        videos: ids of the test videos.
    """

    method: str
    labels: tuple[str, ...]
    truth: NDArray[np.str_]
    metrics: tuple[ViewMetrics, ...]
    by_probe: Recognition
    by_classifier: Recognition | None
    hits: Mapping[str, Mapping[str, NDArray[np.bool_]]]
    not_judged: str = ""
    videos: tuple[str, ...] = ()


def evaluate_features(
    features: Mapping[str, VideoFeatures], method: str, options: MetricOptions = DEFAULT_OPTIONS
) -> EvaluationResult:
    """Evaluate the embeddings of every view and, if there are several, of their ensembles.

    An ensemble's probe and classifier are the weighted mean of the views' class probabilities; its retrieval and vote
    use the fused embedding. Ordered features, where there are any, are evaluated in the same way, with learned weights
    of their own. The classes are those of the videos. A classifier is judged where it knows all that a probe can
    learn here, those of the training videos; what it calls a class that the data has not is wrong.

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
    not_judged = _why_not_judged(method, test.classes, classes.tolist())
    labels = tuple(sorted({*train.labels.tolist(), *test.labels.tolist()}))
    few_shot = [k for k in _FEW if k <= sizes.min()] if options.has_few_shot else []
    rows = _rows(features, labels, options, few_shot=few_shot, judges_classifier=not not_judged)
    ordered = _rows({split: _ordered(videos) for split, videos in features.items()}, labels, options)
    counted = {view: counted_row(method, view, row, ordered.get(view), labels, features) for view, row in rows.items()}
    classified = {view: row.classifier for view, row in rows.items() if row.classifier is not None}
    known = next((row.classifier_labels for row in rows.values() if row.classifier_labels), ())
    return EvaluationResult(
        method=method,
        labels=labels,
        truth=test.labels,
        metrics=tuple(row.metrics for row in counted.values()),
        by_probe=_recognition({view: row.probe for view, row in rows.items()}, labels, labels, test.labels),
        by_classifier=_recognition(classified, known, labels, test.labels) if classified else None,
        hits={view: row.hits for view, row in counted.items()},
        not_judged=not_judged,
        videos=tuple(entry.video_id for entry in test.entries),
    )


def _why_not_judged(method: str, known: Sequence[str], classes: Sequence[str]) -> str:
    """Why the classifier of these classes is not judged on videos of others; empty where it is, or there is none."""
    missing = sorted(set(classes) - set(known))
    if not known or not missing:
        return ""
    shared = sorted(set(classes) & set(known))
    has = f"{len(shared)} of the {len(classes)} classes of the data ({_listed(shared)})" if shared else ""
    return (
        f"the classifier of {printable(method)} is not judged: of its {len(known)} classes it shares "
        f"{has or f'none with the {len(classes)} of the data'} and does not know {_listed(missing)}; it is judged "
        "where it knows all of them"
    )


def _listed(names: Sequence[str]) -> str:
    """The first of some classes, and how many more there are."""
    more = [f"{len(names) - _NUM_NAMED} more"] if len(names) > _NUM_NAMED else []
    return ", ".join([*map(printable, names[:_NUM_NAMED]), *more])


def _recognition(
    tables: Mapping[str, NDArray[np.float64]], known: tuple[str, ...], labels: Sequence[str], truth: NDArray[np.str_]
) -> Recognition:
    """What tables of probabilities `float64 [U, known]` call videos of these classes."""
    predicted = {view: np.array(known)[table.argmax(axis=1)] for view, table in tables.items()}
    return Recognition(
        labels=known,
        probabilities=tables,
        predicted=predicted,
        confusion={view: confusion_matrix(truth, named, labels=labels) for view, named in predicted.items()},
        per_class={view: class_metrics(truth, named, labels) for view, named in predicted.items()},
    )


def _rows(
    features: Mapping[str, VideoFeatures],
    labels: Sequence[str],
    options: MetricOptions,
    *,
    few_shot: Sequence[int] = (),
    judges_classifier: bool = False,
) -> dict[str, VideoPredictions]:
    """What every view says, then every ensemble, by the name of its row."""
    train = features["train"]
    views = {
        view: view_predictions(
            features,
            view,
            labels,
            few_shot=few_shot,
            is_centred=options.is_centred,
            judges_classifier=judges_classifier,
        )
        for view in train.embeddings
    }
    rows = dict(views)
    for weighing in options.ensembles if len(views) > 1 else ():
        if (row := ensemble_predictions(views, weighing, train, labels)) is not None:
            rows[_ROW_NAMES[weighing]] = row
    return rows


def _ordered(videos: VideoFeatures) -> VideoFeatures:
    """The same videos, their ordered features in place of embeddings."""
    return replace(videos, embeddings=videos.ordered, probabilities={}, classes=(), clips={})
