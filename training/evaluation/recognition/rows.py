"""One row of figures: counted from what a view, or several together, say of the test videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.neighbours import label_vote, nearest_by_best_moment, nearest_neighbours
from cocon.training.evaluation.recognition.counting import KS, are_in_top_k, chance_of_recall, hits_at_k
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import NEIGHBOURS, ViewMetrics
from cocon.training.evaluation.recognition.predictions import VideoPredictions
from cocon.training.evaluation.recognition.search import search_hits

__all__ = ["CountedRow", "counted_row"]

Hits = dict[str, NDArray[np.bool_]]

_FEW_KS = (1, 5)  # of ordered features and best moments
_TOP_CLASSES = (1, 5)  # of the classifier


@dataclass(frozen=True, slots=True)
class CountedRow:
    """Figures, and which test videos each of them has right.

    Attributes:
        metrics: the figures.
        hits: figure → whether each test video counts, `bool [U]`; not of few-shot figures, which are means over draws.
    """

    metrics: ViewMetrics
    hits: Mapping[str, NDArray[np.bool_]]


def counted_row(
    method: str,
    view: str,
    row: VideoPredictions,
    ordered: VideoPredictions | None,
    labels: Sequence[str],
    features: Mapping[str, VideoFeatures],
) -> CountedRow:
    """Count all figures of a view or an ensemble.

    Args:
        method: what to call it.
        view: likewise.
        row: what it says.
        ordered: the same of ordered features, where there are any.
        labels: K class names of the data, sorted.
        features: split (`train`, `test`) → its videos.
    """
    train, test = features["train"], features["test"]
    targets = np.searchsorted(labels, test.labels)
    hits = _hits_of_embeddings(row, targets, labels, train, test)
    hits |= _hits_of_classifier(row, test) | _hits_of_moments(row, train, test)
    found = search_hits(train, test, row.shares)
    hits |= {} if found is None else {"search_R@1": found}
    hits |= {} if ordered is None else _hits_of_order(ordered, targets, train, test)
    of_figures = {name: 100.0 * float(found.mean()) for name, found in hits.items()}
    few_shot = {
        k: 100.0 * float(np.mean([are_in_top_k(table, targets, 1) for table in few.probabilities]))
        for k, few in row.few_shot.items()
    }
    weights = {} if ordered is None else {f"ordered_{name}": weight for name, weight in ordered.weights.items()}
    metrics = ViewMetrics(
        method=method,
        view=view,
        probe_top1=of_figures["probe_top1"],
        recall={k: of_figures[f"R@{k}"] for k in KS},
        knn_top1=of_figures["knn_top1"],
        gallery_size=len(train.labels),
        num_questions=len(test.labels),
        num_classes=len(labels),
        few_shot=few_shot,
        classifier_top1=of_figures.get("classifier_top1"),
        classifier_top5=of_figures.get("classifier_top5"),
        weights={**row.weights, **weights},
        ordered_probe_top1=of_figures.get("ordered_probe_top1"),
        ordered_recall=_recalls(of_figures, "ordered_R@"),
        best_moment_recall=_recalls(of_figures, "best_moment_R@"),
        search_recall=of_figures.get("search_R@1"),
        chance=_chance([*of_figures, *(f"probe_{k}_per_class" for k in few_shot)], labels, train, test),
    )
    return CountedRow(metrics, hits)


def _hits_of_embeddings(
    row: VideoPredictions, targets: NDArray[np.int64], labels: Sequence[str], train: VideoFeatures, test: VideoFeatures
) -> Hits:
    cosines, nearest = nearest_neighbours(row.queries, row.gallery, max(*KS, NEIGHBOURS))
    votes = label_vote(cosines[:, :NEIGHBOURS], train.labels[nearest[:, :NEIGHBOURS]], labels)
    recalls = {f"R@{k}": hits_at_k(nearest, test.labels, train.labels, k) for k in KS}
    return {
        "probe_top1": are_in_top_k(row.probe, targets, 1),
        "knn_top1": are_in_top_k(votes, targets, 1),
        **recalls,
    }


def _hits_of_classifier(row: VideoPredictions, test: VideoFeatures) -> Hits:
    if row.classifier is None:
        return {}
    targets = np.searchsorted(row.classifier_labels, test.labels)
    return {f"classifier_top{k}": are_in_top_k(row.classifier, targets, k) for k in _TOP_CLASSES}


def _hits_of_moments(row: VideoPredictions, train: VideoFeatures, test: VideoFeatures) -> Hits:
    if row.query_clips is None or row.gallery_clips is None:
        return {}
    nearest = nearest_by_best_moment(row.query_clips, test.num_clips, row.gallery_clips, train.num_clips, max(_FEW_KS))
    return {f"best_moment_R@{k}": hits_at_k(nearest, test.labels, train.labels, k) for k in _FEW_KS}


def _hits_of_order(
    row: VideoPredictions, targets: NDArray[np.int64], train: VideoFeatures, test: VideoFeatures
) -> Hits:
    _, nearest = nearest_neighbours(row.queries, row.gallery, max(_FEW_KS))
    recalls = {f"ordered_R@{k}": hits_at_k(nearest, test.labels, train.labels, k) for k in _FEW_KS}
    return {"ordered_probe_top1": are_in_top_k(row.probe, targets, 1), **recalls}


def _recalls(figures: Mapping[str, float], prefix: str) -> dict[int, float]:
    return {int(name.removeprefix(prefix)): value for name, value in figures.items() if name.startswith(prefix)}


def _chance(
    figures: Sequence[str], labels: Sequence[str], train: VideoFeatures, test: VideoFeatures
) -> dict[str, float]:
    """Figure → what guessing reaches, in per cent: any of the classes, or any training videos."""
    return {name: _chance_of(name, labels, train, test) for name in figures}


def _chance_of(figure: str, labels: Sequence[str], train: VideoFeatures, test: VideoFeatures) -> float:
    if "R@" in figure:
        return chance_of_recall(test.labels, train.labels, int(figure.rpartition("R@")[2]))
    if figure.startswith("classifier_top"):
        return 100.0 * min(1.0, int(figure.removeprefix("classifier_top")) / len(test.classes))
    return 100.0 / len(labels)
