"""Classifiers that are fitted as the linear probe is, to what frozen encoders make of the clips of labelled videos.

Frozen encoders give a video the same features however often it is shown, so there is nothing to learn step by step:
every labelled video is seen once, and the regression that a probe would be becomes the classifier. It is as good as the
probe of `cocon evaluate` says, and takes about as long as two epochs would. Fine-tuning begins with it, so that the
first steps do not undo what the encoders have learned for a classifier that knows nothing yet (Kumar et al. 2022).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from cocon.core.progress import OnProgress
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.recognition.probe import LinearProbe, fit_probe, fit_regression
from cocon.training.loop.classifiers.clip_features import labelled_clips
from cocon.training.loop.journal import Journal
from cocon.training.models.encoder import Encoder, build_classifier
from cocon.training.models.heads import MeanClassifier
from cocon.training.run_folder.files import RunFolder

__all__ = ["fit_classifiers", "start_classifiers"]

# Of a class that no video could be read of; it is never answered.
_NEVER = -30.0
# A start need not be the best there is: four folds of four strengths would take longer than it saves.
_START_STRENGTH = 0.1


def fit_classifiers(
    run: RunFolder,
    encoders: Mapping[str, Encoder],
    frames: VideoFrames,
    labels: Sequence[str],
    fabric: Fabric,
    *,
    first_step: int,
    on_progress: OnProgress,
) -> None:
    """Give every encoder a classifier that is fitted to labelled videos; each view is fitted on its own.

    Args:
        run: what is trained, and where its journal is.
        encoders: view → encoder; given a classifier, on the CPU and in evaluation mode afterwards.
        frames: labelled training videos, which processes that train together share.
        labels: class names in the order of the logits.
        fabric: devices, launched.
        first_step: steps of pre-training, which the journal counts on from.
        on_progress: called with (videos done, videos in all).

    Raises:
        KeyboardInterrupt: a stop was asked for, of any process; the phase starts again next time.
        VideoError: too many videos failed, or none can be read.
    """
    for encoder in encoders.values():
        encoder.classifier = None
        encoder.requires_grad_(False).to(fabric.device).eval()
    clips = labelled_clips(run, encoders, frames, fabric, on_progress)
    figures: dict[str, float] = {}
    for view, encoder in encoders.items():
        head = build_classifier(encoder, "mean", len(labels), dropout=run.config.classifier.dropout)
        assert isinstance(head, MeanClassifier)
        if len(np.unique(clips.names)) > 1:
            probe = fit_probe(clips.features[view], clips.names, clips.groups, clips.weights)
            _become(head, probe, labels)
            figures |= _figures(probe, view, clips.names, clips.weights)
        encoder.classifier = head
        encoder.requires_grad_(True).to("cpu").eval()
    with Journal(run.path if fabric.is_global_zero else None, next_step=first_step) as journal:
        journal.write_figures("classify", figures, step=first_step + 1, epoch=1)


def start_classifiers(
    run: RunFolder,
    encoders: Mapping[str, Encoder],
    frames: VideoFrames,
    labels: Sequence[str],
    fabric: Fabric,
    *,
    on_progress: OnProgress,
) -> None:
    """Fit the `mean` classifiers that encoders have, to train both from there.

    Args:
        run: what is trained.
        encoders: view → encoder with such a classifier; on its device and in evaluation mode afterwards.
        frames: see `fit_classifiers`, as are labels and fabric.
        labels: see there.
        fabric: see there.
        on_progress: called with (videos done, videos in all).

    Raises:
        KeyboardInterrupt, VideoError: as `fit_classifiers`.
    """
    for encoder in encoders.values():
        encoder.to(fabric.device).eval()
    clips = labelled_clips(run, encoders, frames, fabric, on_progress)
    for view, encoder in encoders.items():
        assert isinstance(encoder.classifier, MeanClassifier)
        if len(np.unique(clips.names)) > 1:
            probe = fit_regression(clips.features[view], clips.names, clips.weights, strength=_START_STRENGTH)
            _become(encoder.classifier, probe, labels, is_trained=True)


def _become(head: MeanClassifier, probe: LinearProbe, labels: Sequence[str], *, is_trained: bool = False) -> None:
    """Make a classifier of these labels say what a probe says that may know fewer; to train it, or leave it so."""
    known = np.searchsorted(np.array(labels), probe.model.classes_)
    weight, bias = probe.model.coef_, probe.model.intercept_
    if len(known) == 2:  # one logit, of the second class against the first
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weights = np.zeros((len(labels), weight.shape[1]))
    biases = np.full(len(labels), bias.min() + _NEVER)
    weights[known], biases[known] = weight, bias
    of_scaled = (probe.scaler.mean_, probe.scaler.scale_, weights, biases)
    tensors = (torch.from_numpy(np.asarray(values, np.float64)) for values in of_scaled)
    head.take(*tensors, is_trained=is_trained)


def _figures(probe: LinearProbe, view: str, names: NDArray[np.str_], weights: NDArray[np.float64]) -> dict[str, float]:
    """Share of clips that are named rightly while their groups are left out, a video's 1 together; if there are two."""
    if probe.out_of_fold is None:
        return {}
    called = probe.model.classes_[probe.out_of_fold.argmax(axis=1)]
    return {f"left_out_accuracy/{view}": float(np.average(called == names, weights=weights))}
