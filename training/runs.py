"""A whole training run: pre-training, then the classifier, into one run folder."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from cocon.training.checkpoint import claim_run, contract_of, is_complete, mark_complete, save_encoder
from cocon.training.classification import train_classifiers
from cocon.training.config import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import steps_per_epoch, view_requests
from cocon.training.data.sampling import read_videos
from cocon.training.loop import make_fabric, pretrain
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.video.errors import UsageError

__all__ = ["ProgressBar", "train_run"]

_logger = logging.getLogger(__name__)

ProgressBar = Callable[[str], AbstractContextManager[Callable[[int, int | None], None]]]


def train_run(config: Config, run: Path, *, overwrite: bool, progress_bar: ProgressBar) -> bool:
    """Train, or go on training, until the run is complete.

    Args:
        config: everything that decides the run.
        run: the run folder.
        overwrite: replace a run with another configuration.
        progress_bar: makes a bar from its description.

    Returns:
        False if the run was complete already.

    Raises:
        UsageError: the run or the data cannot be used.
        KeyboardInterrupt: a stop was asked for; the same call goes on.
    """
    dataset = open_dataset(config.data)
    entries = dataset.split("train")
    if len(entries) < 2:
        raise UsageError(f"dataset '{dataset.root}' has {len(entries)} training videos; at least 2 are needed")
    claim_run(run, config, overwrite=overwrite)
    if is_complete(run):
        return False
    started = time.monotonic()
    frames = VideoFrames(entries, dataset.root, view_requests(config), cache_gib=config.data.cache_gib)
    with progress_bar("reading videos") as on_progress:
        frames = read_videos(frames, config.clip, on_progress)
    entries = frames.entries
    fabric = make_fabric(config)
    with progress_bar("pre-training") as on_progress:
        method = pretrain(config, run, frames, fabric, on_progress=on_progress)
    encoders = {}
    for view, network in method.networks.items():
        assert isinstance(network, PredictiveNetwork)
        encoders[view] = network.encoder
    labels = dataset.labels if config.classifier.head != "none" else ()
    labelled = [entry for entry in entries if entry.label]
    if labels:
        labelled_frames = frames
        if len(labelled) < len(entries):
            requests = view_requests(config)
            labelled_frames = VideoFrames(labelled, dataset.root, requests, cache_gib=config.data.cache_gib)
        first_step = config.training.epochs * steps_per_epoch(len(frames), config.training.batch_size)
        with progress_bar("training classifiers") as on_progress:
            train_classifiers(
                config, run, encoders, labelled_frames, labels, fabric, first_step=first_step, on_progress=on_progress
            )
    for view, encoder in encoders.items():
        encoder.to("cpu")
        save_encoder(run, encoder, contract_of(config, view, encoder, method=config.loss.losses, labels=labels))
    failures = dict(sorted(frames.failures.items()))
    minutes = round((time.monotonic() - started) / 60, 2)
    mark_complete(run, {"videos": len(entries), "failed": failures, "labels": list(labels), "minutes": minutes})
    return True
