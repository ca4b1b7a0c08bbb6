"""Pre-training: one screen, resumable at any step, bit for bit on the CPU."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

from lightning_fabric import Fabric
from torch import Tensor

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import ClipBatches, clip_batches, steps_per_epoch
from cocon.training.data.samples import pretraining_sampler
from cocon.training.data.stretches.counts import clip_counts
from cocon.training.data.stretches.opening import TrainingVideos
from cocon.training.distributed import any_process
from cocon.training.loop.checkpoints import Checkpoints
from cocon.training.loop.epochs import EpochEnd
from cocon.training.loop.failures import fail_too_often, refuse_failures
from cocon.training.loop.health.guard import HealthRecord, SpreadGuard
from cocon.training.loop.interruption import interruptible
from cocon.training.loop.journal import Journal
from cocon.training.loop.learner import Learner
from cocon.training.loop.online import EncoderJudge
from cocon.training.loop.schedule import StepPlan
from cocon.training.loop.timing import Elapsed, EpochLines
from cocon.training.loop.verdict.early_stop import EarlyStop
from cocon.training.methods.method import Method
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.length import EndedBy, TrainedLength

__all__ = ["Pretrained", "pretrain", "step_plan"]


class Pretrained(NamedTuple):
    """What pre-training leaves.

    Attributes:
        method: the trained networks.
        health: what happened on the way.
        length: of which step the networks are; only the first process knows where early stopping kept earlier ones.
    """

    method: Method
    health: HealthRecord
    length: TrainedLength


def pretrain(
    run: RunFolder,
    videos: TrainingVideos,
    fabric: Fabric,
    *,
    elapsed: Elapsed,
    on_progress: Callable[[int, int], None],
    say: Callable[[str], None] = lambda line: None,
    probe: EncoderJudge | None = None,
) -> Pretrained:
    """Train the method's networks on unlabelled clips.

    Args:
        run: what to train, and where; a state in it is taken up.
        videos: what is trained on, and what the plateau schedule looks at.
        fabric: devices and precision, launched.
        elapsed: time spent on the run; that of a state in the run folder is added.
        on_progress: called with (steps done, steps in all).
        say: called with a line of an epoch, see `EpochLines`; only by the first process.
        probe: see `EpochEnd`.

    Raises:
        KeyboardInterrupt: a stop was asked for, of any process; the state is saved.
        VideoError: too many videos failed; likewise.
        GateError: the embeddings collapsed from the beginning, whatever was done about it.
    """
    config, frames = run.config, videos.train
    counts = clip_counts(frames, config)
    plan = step_plan(config, len(frames), counts)
    state = run.state()
    first_step = 0 if state is None else int(state["step"])
    learner = Learner(config, plan, fabric, state)
    clips = _clips(config, frames, plan, fabric, first_step=first_step, counts=counts)
    told = EpochLines("pre-training", plan.num_epochs, say)
    written = Journal(run.path if fabric.is_global_zero else None, next_step=first_step, on_figures=told)
    with written as journal, interruptible() as asked, closing(iter(clips)) as batches:
        end_epoch = EpochEnd(config, learner, journal, fabric, val=videos.val, probe=probe)
        guard = SpreadGuard(config.training, learner, plan.num_steps, first_step)
        if state is not None:
            _go_on(state, learner, journal, elapsed, guard)
            end_epoch.early_stop.restore(state.get("early_stop", {}))
        parts = {"journal": journal.state, "guard": guard.state, "early_stop": end_epoch.early_stop.state}
        checkpoints = Checkpoints(run, videos, learner, fabric, elapsed, parts)
        on_progress(first_step, plan.num_steps)
        told.begin(first_step / plan.per_epoch)
        for step in range(first_step + 1, plan.num_steps + 1):
            if guard.is_over or any_process(end_epoch.early_stop.is_due, fabric):
                break
            rate = learner.step(islice(batches, len(plan.batches_of(step - 1))), step, _each(journal.add, guard.add))
            guard.after_step(step)
            on_progress(step, plan.num_steps)
            if is_end := plan.ends_epoch(step):
                end_epoch(plan.epoch_of(step), step=step, rate=rate)
            stops = any_process(asked.is_requested or fail_too_often(frames, config.data), fabric)
            if stops and not is_end:
                end_epoch.refuse_divergence(journal.sums.values(), plan.epoch_of(step))
            is_last = guard.is_over or step == plan.num_steps
            if stops or is_last or (is_end and checkpoints.is_due(is_urgent=end_epoch.early_stop.is_due)):
                checkpoints.save(step)
                refuse_failures(frames, config.data)
            if stops:
                raise KeyboardInterrupt
    guard.conclude()
    if kept := end_epoch.early_stop.restore_best(learner.method.encoders, fabric):
        say(kept)
    return Pretrained(learner.method, guard.record, _length(plan, guard.record.ended_at, end_epoch.early_stop))


def _length(plan: StepPlan, healthy_step: int | None, early_stop: EarlyStop) -> TrainedLength:
    """Of which step the encoders are; those that early stopping keeps replace the last healthy ones."""
    ended_by: EndedBy = "plan"
    step = plan.num_steps
    if early_stop.kept_step is not None:
        step, ended_by = early_stop.kept_step, "early_stop"
    elif healthy_step is not None:
        step, ended_by = healthy_step, "health"
    return TrainedLength(plan.epoch_of(step), steps=step, planned_steps=plan.num_steps, ended_by=ended_by)


def _clips(
    config: Config, frames: VideoFrames, plan: StepPlan, fabric: Fabric, *, first_step: int, counts: Sequence[int]
) -> ClipBatches:
    """This process's share of the batches of the steps that are left."""
    return clip_batches(
        frames,
        config,
        first_step=plan.batches_of(first_step).start,
        num_steps=plan.num_batches,
        share=(fabric.global_rank, fabric.world_size),
        sampler=pretraining_sampler(config),
        counts=counts,
    )


def _each(*listeners: Callable[[Mapping[str, Tensor]], None]) -> Callable[[Mapping[str, Tensor]], None]:
    """Tells all of them what a step logs."""

    def tell(logged: Mapping[str, Tensor]) -> None:
        for listener in listeners:
            listener(logged)

    return tell


def step_plan(config: Config, num_videos: int, counts: Sequence[int] = ()) -> StepPlan:
    """The steps of pre-training on that many videos; `counts`: clips of each in an epoch, if not one."""
    return StepPlan.of(config.training, steps_per_epoch(num_videos, config.training.batch_size, counts))


def _go_on(state: Mapping[str, Any], learner: Learner, journal: Journal, elapsed: Elapsed, guard: SpreadGuard) -> None:
    """From the step that a state was saved after; the networks are in the learner already."""
    learner.restore_random_states(state)
    journal.restore(state["journal"])
    elapsed.restore(float(state.get("seconds", 0.0)))
    if "guard" in state:  # nobody watched a run of an earlier release
        guard.restore(state["guard"])
