"""The videos that a run trains on, and those by which it is judged meanwhile; cut where they are long."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.progress import ProgressBar, no_progress
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.preparation.held_out import HeldOutPart, part_to_judge
from cocon.training.data.stretches.cutting import Footage, Stretch, cut, is_large
from cocon.training.data.stretches.draws import steps_per_epoch
from cocon.training.data.stretches.pool import PooledFrames
from cocon.video.estimation.people import require_people
from cocon.video.reading.live import ViewRequest, needed_views
from cocon.video.store.dataset import DatasetFolder, VideoEntry
from cocon.video.views import VIEWS

__all__ = ["TrainingVideos", "training_frames", "view_requests"]


class TrainingVideos(NamedTuple):
    """What a run looks at.

    Attributes:
        train: training videos.
        val: those of split `val`, where something looks at them; else None.
        held_out: videos with labels that encoders are judged by and not trained on; None where there are none.
        judged_on: which those are, in words; or why there are none, empty where none were asked for.
        set_aside: ids of the training videos among those held out.
    """

    train: VideoFrames
    val: VideoFrames | None
    held_out: VideoFrames | None
    judged_on: str
    set_aside: tuple[str, ...] = ()


def view_requests(config: Config) -> dict[str, ViewRequest]:
    """What the configured views need, in the form the readers take."""
    return {view: ViewRequest(config.geometry(view), config.flow_spec(view)) for view in config.views}


def training_frames(
    config: Config,
    dataset: DatasetFolder,
    progress_bar: ProgressBar | None = None,
    *,
    held_out: Sequence[str] | None = None,
) -> TrainingVideos:
    """Training videos, those to judge by, and those of split `val` where something looks at them; headers are read.

    Held out to judge by is split `val` where that has labels, else a share of the training videos.

    Args:
        config: everything that decides the run.
        dataset: its videos.
        progress_bar: shows how many videos were looked at, where any is large.
        held_out: ids of the training videos that a run which goes on has held out; None for one that begins.

    Raises:
        UsageError: people are to be found, and what finds them is not installed; or stretches are shorter than a clip.
    """
    is_looked_at = config.optimizer.schedule == "plateau" or config.training.probe_every_epochs > 0
    part, judged_on = _parted(config, dataset, held_out)
    requests, makes_people = view_requests(config), config.data.views_on_the_fly
    if makes_people and any(VIEWS[view].maker == "people" for view in needed_views(requests)):
        require_people()

    def num_epochs(num_entries: int) -> int:
        num_batches = steps_per_epoch(num_entries, config.training.batch_size)
        return config.training.num_epochs(math.ceil(num_batches / config.training.accumulate))

    def cut_of(entries: Sequence[VideoEntry]) -> Footage:
        is_shown = progress_bar and any(is_large(entry, config.data) for entry in entries)
        with progress_bar("looking at videos") if progress_bar and is_shown else nullcontext(no_progress) as bar:
            return cut(entries, config.data, requests, num_epochs=num_epochs, on_progress=bar)

    train, val = cut_of(part.kept), cut_of(dataset.split("val") if is_looked_at else ())
    held = cut_of(part.held)
    _refuse_short_stretches(train, config)
    num_kept = train.num_videos + sum(footage.num_videos for footage in (val, held) if footage.reuse is None)

    def of(footage: Footage) -> VideoFrames:
        gib = config.data.cache_gib * min(1.0, footage.num_videos / max(1, num_kept))
        if footage.reuse is None:
            return VideoFrames(footage.entries, dataset.root, requests, cache_gib=gib, makes_people=makes_people)
        return PooledFrames(footage, dataset.root, requests, cache_gib=gib, makes_people=makes_people)

    judged_val, judged = (of(footage).for_judging() if footage.entries else None for footage in (val, held))
    set_aside = tuple(entry.video_id for entry in part.held if entry.split != "val")
    return TrainingVideos(of(train), judged_val, judged, judged_on, set_aside)


def _parted(config: Config, dataset: DatasetFolder, remembered: Sequence[str] | None) -> tuple[HeldOutPart, str]:
    """The training videos, and those to judge by; and which these are, or why there are none, in words."""
    training = config.training
    if not training.held_out_share or not training.epochs:
        return HeldOutPart((), dataset.split("train")), ""
    return part_to_judge(dataset, training.held_out_share, seed=training.seed, remembered=remembered)


def _refuse_short_stretches(footage: Footage, config: Config) -> None:
    spec, data = config.clip.spec(), config.data
    for position, entry in enumerate(footage.entries):
        length = footage.lengths[position] if footage.lengths else None
        if not isinstance(entry, Stretch) or length is None or footage.fits(position, spec):
            continue
        step_seconds = spec.step_seconds or (spec.step_frames or 1) / length.rate
        clip_seconds = (spec.num_frames - 1) * step_seconds
        raise UsageError(
            f"a clip takes {clip_seconds:.4g} s, and video '{printable(entry.cut_from)}' is cut into stretches of "
            f"{length.seconds:.4g} s (data.stretch_seconds={data.stretch_seconds:g}): make them longer, "
            f"--set data.stretch_seconds={math.ceil(2 * clip_seconds) + 1}, or shorten the clip"
        )
