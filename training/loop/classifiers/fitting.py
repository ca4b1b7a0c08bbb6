"""The classifier of frozen encoders: fitted as the linear probe is, to what they make of whole videos.

Frozen encoders give a video the same features however often it is shown, so there is nothing to learn step by step:
every labelled video is seen once, and the regression that a probe would be becomes the classifier. It is as good as the
probe of `cocon evaluate` says, and takes about as long as two epochs would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from cocon.core.errors import VideoError
from cocon.core.progress import OnProgress
from cocon.embedding.contract import ModelContract
from cocon.training.data.frames import VideoFrames
from cocon.training.data.reading.decoded_video import DecodedVideo
from cocon.training.distributed import any_process, objects_of_all
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL, encode_blocks
from cocon.training.evaluation.recognition.probe import LinearProbe, fit_probe
from cocon.training.loop.failures import fail_too_often, refuse_failures
from cocon.training.loop.interruption import interruptible
from cocon.training.loop.journal import Journal
from cocon.training.models.encoder import Encoder, build_classifier
from cocon.training.models.heads import MeanClassifier
from cocon.training.models.pooling import cell_features, part_means
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import contract_of

__all__ = ["fit_classifiers"]

# Of a class that no video could be read of; it is never answered.
_NEVER = -30.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the encoders make of a video: its position, and the mean feature of its clips, view → `float32 [P·D]`."""

    position: int
    features: Mapping[str, NDArray[np.float32]]


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

    A video's feature is the mean over its clips, cut as for judging, of the mean block feature before normalisation.
    Processes that train together share the videos.

    Args:
        run: what is trained, and where its journal is.
        encoders: view → encoder; given a classifier, on the CPU and in evaluation mode afterwards.
        frames: labelled training videos.
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
    seen = _seen_by_all(run, encoders, frames, fabric, on_progress)
    if not seen:
        raise VideoError("none of the videos that have a label can be read; see the warnings, or label others")
    entries = [frames.entries[one.position] for one in seen]
    names = np.array([entry.label for entry in entries])
    groups = np.array([entry.group or entry.video_id for entry in entries])
    figures: dict[str, float] = {}
    for view, encoder in encoders.items():
        head = build_classifier(encoder, "mean", len(labels), dropout=run.config.classifier.dropout)
        assert isinstance(head, MeanClassifier)
        if len(np.unique(names)) > 1:
            probe = fit_probe(np.stack([one.features[view] for one in seen]), names, groups)
            _become(head, probe, labels)
            figures |= _figures(probe, view, names)
        encoder.classifier = head
        encoder.requires_grad_(True).to("cpu").eval()
    with Journal(run.path if fabric.is_global_zero else None, next_step=first_step) as journal:
        journal.write_figures("classify", figures, step=first_step + 1, epoch=1)


def _seen_by_all(
    run: RunFolder, encoders: Mapping[str, Encoder], frames: VideoFrames, fabric: Fabric, on_progress: OnProgress
) -> list[_Seen]:
    """Every video that can be read, in the order of the data; the same in all processes."""
    contracts = {
        view: contract_of(run.config, view, encoder, method=run.config.method, labels=())
        for view, encoder in encoders.items()
    }
    own: list[_Seen] = []
    with interruptible() as asked:
        for first in range(0, len(frames), fabric.world_size):
            position = first + fabric.global_rank
            if position < len(frames) and (video := frames[position]).entry is frames.entries[position]:
                own.append(_Seen(position, _features(encoders, contracts, video)))
            on_progress(min(first + fabric.world_size, len(frames)), len(frames))
            if any_process(asked.is_requested or fail_too_often(frames, run.config.data), fabric):
                refuse_failures(frames, run.config.data)
                raise KeyboardInterrupt
    return sorted((one for part in objects_of_all(own) for one in part), key=lambda one: one.position)


def _features(
    encoders: Mapping[str, Encoder], contracts: Mapping[str, ModelContract], video: DecodedVideo
) -> dict[str, NDArray[np.float32]]:
    found = {}
    for view, encoder in encoders.items():
        blocks = encode_blocks(encoder, contracts[view], video, protocol=DEFAULT_PROTOCOL, has_dense=False)
        pooled = cell_features(blocks.maps[0], encoder.cells)  # [U, D]
        parts = part_means(pooled[torch.from_numpy(blocks.numbers)], encoder.num_parts)  # [K, P, D]
        found[view] = np.asarray(parts.mean(dim=0).flatten().numpy(), np.float32)
    return found


def _become(head: MeanClassifier, probe: LinearProbe, labels: Sequence[str]) -> None:
    """Make a classifier of these labels say what a probe says that may know fewer."""
    known = np.searchsorted(np.array(labels), probe.model.classes_)
    weight, bias = probe.model.coef_, probe.model.intercept_
    if len(known) == 2:  # one logit, of the second class against the first
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weights = np.zeros((len(labels), weight.shape[1]))
    biases = np.full(len(labels), bias.min() + _NEVER)
    weights[known], biases[known] = weight, bias
    of_scaled = (probe.scaler.mean_, probe.scaler.scale_, weights, biases)
    head.take(*(torch.from_numpy(np.asarray(values, np.float64)) for values in of_scaled))


def _figures(probe: LinearProbe, view: str, names: NDArray[np.str_]) -> dict[str, float]:
    """How many training videos are named rightly while their groups are left out; nothing where all are of one."""
    if probe.out_of_fold is None:
        return {}
    called = probe.model.classes_[probe.out_of_fold.argmax(axis=1)]
    return {f"left_out_accuracy/{view}": float((called == names).mean())}
