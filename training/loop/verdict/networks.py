"""The networks that a verdict compares: as they were drawn, as they began, as they are."""

import logging
from collections.abc import Callable, Mapping

from lightning_fabric import Fabric

from cocon.core.errors import CoconError
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.stretches.opening import TrainingVideos
from cocon.training.evaluation.recognition.evaluate import untrained_encoders
from cocon.training.loop.learner import random_states, restore_random_states
from cocon.training.loop.verdict.held_out import HeldOut
from cocon.training.loop.verdict.verdict import START, TRAINED, UNTRAINED, TrainingVerdict, judged
from cocon.training.methods.building import build_method
from cocon.training.models.encoder import Encoder
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.warm_start import restore_encoders, source_files

__all__ = ["judge_run", "judged_on_said", "verdict_of"]

_logger = logging.getLogger(__name__)
# Statistics of batch normalisation settle with so many; they cost as much as judging as many clips.
_CALIBRATION_BATCHES = 4


def judged_on_said(videos: TrainingVideos) -> str:
    """By which videos a training will be judged, or why by none, in a line."""
    if videos.held_out is None:
        return f"not judged at the end: {videos.judged_on}"
    not_seen = "; these are not trained on (training.held_out_share)" if videos.set_aside else ""
    return f"judged at the end on {videos.judged_on}{not_seen}"


def judge_run(
    run: RunFolder,
    encoders: Mapping[str, Encoder],
    frames: VideoFrames,
    held_out: HeldOut,
    fabric: Fabric,
    say: Callable[[str], None],
) -> bool:
    """Say what a training was good for, and keep it in the run folder; every process calls it, the first one judges.

    Args:
        run: whose folder it is kept in.
        encoders: view → trained encoder.
        frames: training videos.
        held_out: what judges.
        fabric: devices, launched.
        say: called with a line at a time, by the first process.

    Returns:
        Whether trained encoders are worse than those that the run began with, and those are to be kept.
    """
    verdict = verdict_of(run.config, encoders, frames, held_out, fabric) if fabric.is_global_zero else None
    if verdict is not None:
        run.save_verdict(verdict.to_dict())
        for line in verdict.lines():
            say(line)
    return bool(fabric.broadcast(verdict is not None and verdict.keeps_start))


def verdict_of(
    config: Config, encoders: Mapping[str, Encoder], frames: VideoFrames, held_out: HeldOut, fabric: Fabric
) -> TrainingVerdict | None:
    """Judge trained encoders beside untrained ones and those they began with; None where that cannot be, which is said.

    Changes no random number, and no encoder.

    Args:
        config: everything that decided the run.
        encoders: view → trained encoder.
        frames: training videos.
        held_out: what judges.
        fabric: devices, launched.
    """
    states = random_states()
    try:
        untrained = untrained_encoders(config, frames, num_batches=_CALIBRATION_BATCHES)
        networks = {UNTRAINED: {view: encoder for view, (encoder, _) in untrained.items()}}
        networks |= {START: start} if (start := _start(config)) else {}
        for of in networks.values():
            for encoder in of.values():
                encoder.to(fabric.device)
        results = held_out.results(networks | {TRAINED: dict(encoders)})
        return judged(results, held_out.judged_on, may_keep_start=config.training.guard)
    except (CoconError, ValueError) as error:
        _logger.warning("the encoders are not judged: %s", error)
        return None
    finally:
        restore_random_states(states)


def _start(config: Config) -> dict[str, Encoder]:
    """The encoders that a run began with, with its vectors, where all views had one and they are still there."""
    try:
        if source_files(config).keys() != set(config.views):
            return {}
        method = build_method(config)
        restore_encoders(method, config)
    except CoconError as error:
        _logger.warning("what the run started from is not judged: %s", error)
        return {}
    return method.encoders
