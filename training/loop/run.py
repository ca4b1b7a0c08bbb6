"""A whole training run: pre-training, then the classifier, into one run folder."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lightning_fabric import Fabric

from cocon.core.errors import UsageError
from cocon.core.folder_lock import folder_lock
from cocon.core.paths import real_path
from cocon.core.printable import escaped, in_one_line
from cocon.core.progress import ProgressBar
from cocon.core.progress import progress_bar as terminal_bar
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.preparation.stored_views import check_views
from cocon.training.data.sampling import read_videos
from cocon.training.data.stretches.counts import clip_counts
from cocon.training.data.stretches.opening import TrainingVideos, training_frames, view_requests
from cocon.training.data.stretches.pool import PooledFrames
from cocon.training.distributed import objects_of_all
from cocon.training.loop.classifiers.phase import make_classifiers
from cocon.training.loop.devices import launched_fabric, resources
from cocon.training.loop.failures import failures_of_all, none_left_counted, refuse_failures
from cocon.training.loop.online import OnlineProbe
from cocon.training.loop.pretraining import pretrain, step_plan
from cocon.training.loop.timing import Elapsed, Forecast, Told
from cocon.training.loop.verdict.held_out import HeldOut
from cocon.training.loop.verdict.networks import judge_run, judged_on_said
from cocon.training.machine.precision import precision_of
from cocon.training.machine.threads import crowd, use_threads
from cocon.training.models.encoder import Encoder
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.ownership import as_begun, claim_run, refuse_strangers, refuse_to_go_on
from cocon.training.run_folder.view_files import contract_of
from cocon.training.run_folder.warm_start import method_names, named_sources, restore_encoders, source_files
from cocon.video.store.dataset import DatasetFolder

__all__ = ["Resume", "train_run"]

Resume = Literal["auto", "never"]


def _unheard(text: str) -> None:
    """What all processes but the first say."""


def train_run(
    config: Config,
    output: Path,
    *,
    overwrite: bool,
    progress_bar: ProgressBar,
    resume: Resume = "auto",
    say: Callable[[str], None] = _unheard,
    say_epoch: Callable[[str], None] = _unheard,
) -> bool:
    """Train, or go on training, until the run is complete; by all processes that torchrun started together.

    Args:
        config: everything that decides the run.
        output: the run folder, which all processes must see.
        overwrite: replace a run with another configuration.
        progress_bar: makes a bar from its description; only the first process does.
        resume: `auto` goes on where an interrupted run stopped, `never` refuses to.
        say: called with what training will use and, once that is measured, how long it will take; only by the first
            process.
        say_epoch: likewise, with a line an epoch.

    Returns:
        False if the run was complete already.

    Raises:
        UsageError: the run or the data cannot be used, another process trains the run, or the run has begun already
            and `resume` is `never`.
        MismatchError: the run to start from has another architecture.
        MissingViewError: stored views do not suit more of them, which is told before anything is read.
        VideoError: more training videos failed than `data.max_failed_share` allows; what is trained is kept.
        KeyboardInterrupt: a stop was asked for; the same call goes on.
    """
    config = config if overwrite else as_begun(config, output)
    run, elapsed, dataset = RunFolder(output, config), Elapsed(), open_dataset(config.data)
    remembered = None if overwrite or run.is_complete else run.held_out
    bar = progress_bar if os.environ.get("RANK", "0") == "0" else None
    videos = training_frames(config, dataset, bar, held_out=remembered)
    frames, val = videos.train, videos.val
    _check_number(len(frames), config, dataset)
    with ExitStack() as held:
        if os.environ.get("RANK", "0") == "0":
            held.enter_context(_claimed(run, frames.footage, overwrite=overwrite, resume=resume))
        num_threads = use_threads()
        precision = precision_of(run, is_new=overwrite)
        fabric = held.enter_context(launched_fabric(config, precision.name))
        fabric.barrier()
        _check_alike(frames, dataset)
        if run.is_complete:
            return False
        if not fabric.is_global_zero:
            progress_bar, say, say_epoch = partial(terminal_bar, is_quiet=True), _unheard, _unheard
        if crowded := crowd(num_threads):
            say(crowded)
        labels = dataset.labels if config.classifier.head != "none" else ()
        entries = [*dataset.split("train"), *(dataset.split("val") if val else ())]
        check_views(entries, dataset.root, view_requests(config), config.data, is_trained=True)
        told = Told(progress_bar, say, say_epoch)
        with frames, val or nullcontext(), videos.held_out or nullcontext():
            found = _train(run, videos, labels, fabric, precision.reason, told, elapsed)
        if fabric.is_global_zero:
            minutes = round(elapsed.seconds / 60, 2)
            facts = {"videos": frames.num_videos, "labels": list(labels), "minutes": minutes} | found
            facts |= {"held_out": len(videos.set_aside)} if videos.set_aside else {}
            how = {"classifier": "fitted"} if labels and config.classifier.is_fitted else {}
            run.mark_complete(facts | {"precision": precision.name} | how)
    return True


def _check_number(num_videos: int, config: Config, dataset: DatasetFolder) -> None:
    """Raise `UsageError` if there are too few training videos to contrast, or for the queues of the method."""
    if num_videos < 2:
        splits = Counter(video.split for video in dataset.videos if video.split)
        others = f"; it has {', '.join(f'{count} {split}' for split, count in splits.items())}" if splits else ""
        raise UsageError(f"dataset '{dataset.root}' has {num_videos} training videos; at least 2 are needed{others}")
    for key, size in config.queues.items():
        if size > num_videos:
            raise UsageError(
                f"{key} ({size}) must be at most {num_videos}, the training videos of '{dataset.root}': a longer "
                f"queue holds a video's own key as its negative; add --set {key}={num_videos}"
            )


def _check_alike(frames: VideoFrames, dataset: DatasetFolder) -> None:
    """Raise `UsageError` unless all processes draw from the same, by every process at once."""
    seen = objects_of_all((frames.footage, frames.capacity if isinstance(frames, PooledFrames) else None))
    if any(other != seen[0] for other in seen):
        raise UsageError(
            f"processes do not see the same videos in '{dataset.root}', or have room for unlike numbers of stretches: "
            "give all of them the same files, and the same limit of open files (ulimit -n)"
        )


@contextmanager
def _claimed(run: RunFolder, footage: Mapping[str, int | str], *, overwrite: bool, resume: Resume) -> Iterator[None]:
    """Be the only one who trains the run while the block runs."""
    if real_path(run.path) in (real_path(source) for source in named_sources(run.config).values()):
        raise UsageError(f"run '{run}' cannot start from itself (training.init_from); choose another --output")
    if resume == "never" and not overwrite:
        refuse_to_go_on(run)
    if overwrite or not run.has_begun:
        source_files(run.config)  # before anything is removed
    refuse_strangers(run.path)
    run.path.mkdir(parents=True, exist_ok=True)
    # A complete run is left as it is, so nobody need wait for it, nor be allowed to write there.
    with nullcontext() if run.is_complete and not overwrite else folder_lock(run.path, "run"):
        claim_run(run, overwrite=overwrite, footage=footage)
        yield


def _train(
    run: RunFolder,
    videos: TrainingVideos,
    labels: Sequence[str],
    fabric: Fabric,
    reason: str,
    told: Told,
    elapsed: Elapsed,
) -> dict[str, Any]:
    """All phases; returns facts of the run: which videos failed in any process, and why, its length and its health."""
    config, frames, val = run.config, videos.train, videos.val
    with told.progress_bar("reading videos") as bar, none_left_counted(frames, config.data):
        frames = read_videos(frames, config.clip, bar)
    refuse_failures(frames, config.data)
    held_out, probe = _judges(config, frames, videos)
    plan = step_plan(config, len(frames), clip_counts(frames, config))
    num_videos = frames.num_videos if isinstance(frames, PooledFrames) else len(frames)
    told.say(resources(config, fabric, num_videos, plan, reason=reason))
    if isinstance(frames, PooledFrames):
        told.say(frames.described())
    if videos.judged_on:
        told.say(judged_on_said(videos))
    with told.progress_bar("pre-training", unit="steps") as bar, none_left_counted(frames, config.data):
        on_progress = Forecast("pre-training", plan.per_epoch, bar, told.say)
        method, health, length = pretrain(
            run,
            videos._replace(train=frames),
            fabric,
            elapsed=elapsed,
            on_progress=on_progress,
            say=told.say_epoch,
            probe=probe,
        )
    encoders = method.encoders
    if held_out is not None and judge_run(run, encoders, frames, held_out, fabric, told.say):
        restore_encoders(method, config)
        length = replace(length, epochs=0, steps=0, ended_by="start")
    if labels:
        labelled = frames.only([position for position, entry in enumerate(frames.entries) if entry.label])
        if videos.held_out is not None and videos.set_aside and not isinstance(frames, PooledFrames):
            labelled = labelled.and_those_of(videos.held_out)  # what is judged needs them no more
        with none_left_counted(labelled, config.data):
            is_trained, first_step = length.epochs > 0, plan.num_steps
            num_epochs = make_classifiers(
                run, method, labelled, labels, fabric, told, is_trained=is_trained, first_step=first_step
            )
        length = replace(length, classifier_epochs=num_epochs)
    if fabric.is_global_zero:
        names = method_names(config, is_trained=length.epochs > 0)
        _save(run, encoders, names, labels, frames.made_by)
    failures = failures_of_all(frames)
    for judged in (val, videos.held_out):
        failures |= failures_of_all(judged) if judged is not None else {}
    told_of = {"failed": {escaped(video_id): in_one_line(reason) for video_id, reason in failures.items()}}
    return told_of | {"length": length.to_dict()} | ({"health": asdict(health)} if health.events else {})


def _judges(
    config: Config, frames: VideoFrames, videos: TrainingVideos
) -> tuple[HeldOut | None, HeldOut | OnlineProbe | None]:
    """What judges at the end, and what does so on the way; None where nothing does."""
    held_out = None
    if videos.held_out is not None:
        held_out = HeldOut(config, frames.for_judging(), videos.held_out, videos.judged_on)
    if not config.training.probe_every_epochs:
        return held_out, None
    return held_out, held_out or OnlineProbe(config, frames.for_judging(), videos.val)


def _save(
    run: RunFolder,
    encoders: dict[str, Encoder],
    names: Mapping[str, str],
    labels: Sequence[str],
    made_by: Mapping[str, tuple[str, ...]],
) -> None:
    """All of them, with their contracts; `names`: how each view was pre-trained."""
    for view, encoder in encoders.items():
        encoder.to("cpu")
        contract = contract_of(run.config, view, encoder, method=names[view], labels=tuple(labels), made_by=made_by)
        run.save_encoder(encoder, contract)
