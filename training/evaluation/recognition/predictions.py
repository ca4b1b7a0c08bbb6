"""What a row of figures is counted from: class probabilities and neighbours, of one view or of several together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.fusion import fuse_embeddings, fuse_probabilities
from cocon.training.evaluation.recognition.ensembles import PAPER_WEIGHTS, pool_weights, pooled, retrieval_weights
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.probe import FewShot, fit_few_shot, fit_probe

__all__ = ["Ensemble", "VideoPredictions", "centred", "ensemble_predictions", "view_predictions"]

Ensemble = Literal["equal", "learned", "paper"]


@dataclass(frozen=True, slots=True)
class VideoPredictions:
    """K classes, V training and U test videos.

    Attributes:
        probe: class probabilities of the test videos by the linear probe, `float64 [U, K]`.
        classifier: likewise by the classifier trained with the encoder, `float64 [U, K']`; None where there is none, or
            none that can be judged.
        few_shot: labels per class → what probes say that know so many, their K columns those of `probe`.
        gallery: training embeddings to search, `float32 [V, D]`.
        queries: test embeddings, `float32 [U, D]`.
        gallery_clips: clips of the training videos, video by video, `float32 [M, D]`; None where they were not kept.
        query_clips: likewise of the test videos.
        out_of_fold: the probe's class probabilities of training videos of groups it has not seen, `float64 [V, K]`;
            None where all are of one group, and for ensembles.
        weights: `probe_<view>`, `retrieval_<view>` → weight of the view, where they are not equal.
        shares: view → how much it counts in the embedding.
        classifier_labels: K' class names, sorted: those of the data, and what the classifier knows beside them.
    """

    probe: NDArray[np.float64]
    classifier: NDArray[np.float64] | None
    few_shot: Mapping[int, FewShot]
    gallery: NDArray[np.float32]
    queries: NDArray[np.float32]
    gallery_clips: NDArray[np.float32] | None = None
    query_clips: NDArray[np.float32] | None = None
    out_of_fold: NDArray[np.float64] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    classifier_labels: tuple[str, ...] = ()


def view_predictions(
    features: Mapping[str, VideoFeatures],
    view: str,
    labels: Sequence[str],
    *,
    few_shot: Sequence[int] = (),
    is_centred: bool = False,
    judges_classifier: bool = True,
) -> VideoPredictions:
    """What one view says.

    Args:
        features: split (`train`, `test`) → embeddings of its videos.
        view: its name.
        labels: K class names of the data, sorted.
        few_shot: numbers of labels per class.
        is_centred: compare embeddings without the mean of their set.
        judges_classifier: also take what its classifier says, where it has one.
    """
    train, test = features["train"], features["test"]
    gallery, queries = train.embeddings[view], test.embeddings[view]
    classes = np.unique(train.labels).tolist()
    probe = fit_probe(gallery, train.labels, train.groups)
    has_classifier = judges_classifier and view in test.probabilities
    known = tuple(sorted({*labels, *test.classes})) if has_classifier else ()
    return VideoPredictions(
        probe=_columns(probe.probabilities(queries), classes, labels),
        classifier=_columns(test.probabilities[view], test.classes, known) if has_classifier else None,
        few_shot={
            k: _few_shot_columns(fit_few_shot(gallery, train.labels, queries, per_class=k), classes, labels)
            for k in few_shot
        },
        gallery=centred(gallery) if is_centred else gallery,
        queries=centred(queries) if is_centred else queries,
        gallery_clips=_clips(train, view, is_centred=is_centred),
        query_clips=_clips(test, view, is_centred=is_centred),
        out_of_fold=None if probe.out_of_fold is None else _columns(probe.out_of_fold, classes, labels),
        shares={view: 1.0},
        classifier_labels=known,
    )


def ensemble_predictions(
    views: Mapping[str, VideoPredictions], how: Ensemble, train: VideoFeatures, labels: Sequence[str]
) -> VideoPredictions | None:
    """What several views say together, by weighted probabilities and the weighted fused embedding.

    `equal` and `paper` take the mean of probabilities. `learned` takes `pooled` ones, and its weights come from the
    training videos alone: for probabilities those that suit the probes' out-of-fold predictions best, for the embedding
    `retrieval_weights`. Classifiers have seen all training videos and so take the probes' weights. Few-shot figures
    take weights of their own in every draw, of the labels that are known there (`_few_shot_together`).

    Args:
        views: view → what it says; at least two.
        how: how the views are weighed.
        train: the training videos, the gallery.
        labels: as in `view_predictions`.

    Returns:
        None for `learned` where all training videos are of one group.
    """
    out_of_fold = {view: row.out_of_fold for view, row in views.items() if row.out_of_fold is not None}
    galleries = {view: row.gallery for view, row in views.items()}
    classifiers = {view: row.classifier for view, row in views.items() if row.classifier is not None}
    few_shot = next(iter(views.values())).few_shot
    together = pooled if how == "learned" else fuse_probabilities
    targets = np.searchsorted(labels, train.labels)
    if how != "learned":
        of_probe = of_retrieval = _shares(PAPER_WEIGHTS if how == "paper" else dict.fromkeys(views, 1.0), views)
    elif out_of_fold:
        of_probe = pool_weights(out_of_fold, targets)
        of_retrieval = retrieval_weights(galleries, train.labels, train.groups)
    else:
        return None
    named = {f"probe_{view}": weight for view, weight in of_probe.items()}
    named |= {f"retrieval_{view}": weight for view, weight in of_retrieval.items()}
    return VideoPredictions(
        probe=together({view: row.probe for view, row in views.items()}, of_probe),
        classifier=together(classifiers, of_probe) if classifiers else None,
        few_shot={
            k: _few_shot_together({v: row.few_shot[k] for v, row in views.items()}, how, of_probe, targets)
            for k in few_shot
        },
        gallery=fuse_embeddings(galleries, of_retrieval),
        queries=fuse_embeddings({view: row.queries for view, row in views.items()}, of_retrieval),
        gallery_clips=_fused_clips({view: row.gallery_clips for view, row in views.items()}, of_retrieval),
        query_clips=_fused_clips({view: row.query_clips for view, row in views.items()}, of_retrieval),
        weights={} if how == "equal" else named,
        shares=of_retrieval,
        classifier_labels=next((row.classifier_labels for row in views.values() if row.classifier_labels), ()),
    )


def _few_shot_together(
    views: Mapping[str, FewShot], how: Ensemble, weights: Mapping[str, float], targets: NDArray[np.int64]
) -> FewShot:
    """What few-shot probes of several views say together.

    Learned weights are those of each draw, which suit what the probes say of its known videos while these are left out;
    where none can be left out, the views weigh the same in the pool.

    Args:
        views: view → its probes, the same draws in all.
        how: how the views are weighed.
        weights: view → weight, where they are not learned.
        targets: class of each training video, `int64 [V]`.
    """
    first = next(iter(views.values()))
    if how != "learned":
        tables = {view: few.probabilities for view, few in views.items()}
        return FewShot(fuse_probabilities(tables, weights), first.known, None)
    draws = []
    for draw, known in enumerate(first.known):
        left_out = {view: few.out_of_fold[draw] for view, few in views.items() if few.out_of_fold is not None}
        learned = pool_weights(left_out, targets[known]) if left_out else dict.fromkeys(views, 1.0 / len(views))
        draws.append(pooled({view: few.probabilities[draw] for view, few in views.items()}, learned))
    return FewShot(np.stack(draws), first.known, None)


def centred(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings of one set `float32 [V, D]` without their mean, of unit length again (as CoCLR and ViCC retrieve).

    A video that is exactly the mean, as the only one of its set is, stays as it is.
    """
    moved = embeddings - embeddings.mean(axis=0)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.divide(moved, lengths, out=embeddings.copy(), where=lengths > 0)


def _clips(videos: VideoFeatures, view: str, *, is_centred: bool) -> NDArray[np.float32] | None:
    clips = videos.clips.get(view)
    return centred(clips) if is_centred and clips is not None else clips


def _fused_clips(
    clips: Mapping[str, NDArray[np.float32] | None], weights: Mapping[str, float]
) -> NDArray[np.float32] | None:
    known = {view: vectors for view, vectors in clips.items() if vectors is not None}
    return fuse_embeddings(known, weights) if known else None


def _columns(table: NDArray[np.float64], classes: Sequence[str], labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities `float64 [..., classes]` as `[..., labels]`; a class that the table does not know has 0."""
    spread = np.zeros((*table.shape[:-1], len(labels)))
    spread[..., np.searchsorted(labels, classes)] = table
    return spread


def _few_shot_columns(few: FewShot, classes: Sequence[str], labels: Sequence[str]) -> FewShot:
    left_out = None if few.out_of_fold is None else _columns(few.out_of_fold, classes, labels)
    return FewShot(_columns(few.probabilities, classes, labels), few.known, left_out)


def _shares(weights: Mapping[str, float], views: Mapping[str, VideoPredictions]) -> dict[str, float]:
    total = sum(weights[view] for view in views)
    return {view: weights[view] / total for view in views}
