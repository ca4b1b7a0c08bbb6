"""The videos that a run trains on, and those by which it is judged meanwhile; cut where they are long."""

import math
from contextlib import nullcontext

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.progress import ProgressBar, no_progress
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.stretches.cutting import Footage, Stretch, cut, is_large
from cocon.training.data.stretches.draws import steps_per_epoch
from cocon.training.data.stretches.pool import PooledFrames
from cocon.video.estimation.people import require_people
from cocon.video.reading.live import ViewRequest, needed_views
from cocon.video.store.dataset import DatasetFolder
from cocon.video.views import VIEWS

__all__ = ["training_frames", "view_requests"]


def view_requests(config: Config) -> dict[str, ViewRequest]:
    """What the configured views need, in the form the readers take."""
    return {view: ViewRequest(config.geometry(view), config.flow_spec(view)) for view in config.views}


def training_frames(
    config: Config, dataset: DatasetFolder, progress_bar: ProgressBar | None = None
) -> tuple[VideoFrames, VideoFrames | None]:
    """Training videos, and those of split `val` where there are any and something looks at them; headers are read.

    Args:
        config: everything that decides the run.
        dataset: its videos.
        progress_bar: shows how many videos were looked at, where any is large.

    Raises:
        UsageError: people are to be found, and what finds them is not installed; or stretches are shorter than a clip.
    """
    is_looked_at = config.optimizer.schedule == "plateau" or config.training.probe_every_epochs > 0
    requests, makes_people = view_requests(config), config.data.views_on_the_fly
    if makes_people and any(VIEWS[view].maker == "people" for view in needed_views(requests)):
        require_people()

    def num_epochs(num_entries: int) -> int:
        num_batches = steps_per_epoch(num_entries, config.training.batch_size)
        return config.training.num_epochs(math.ceil(num_batches / config.training.accumulate))

    def cut_of(split: str) -> Footage:
        entries = dataset.split(split)
        is_shown = progress_bar and any(is_large(entry, config.data) for entry in entries)
        with progress_bar("looking at videos") if progress_bar and is_shown else nullcontext(no_progress) as bar:
            return cut(entries, config.data, requests, num_epochs=num_epochs, on_progress=bar)

    train, val = cut_of("train"), cut_of("val") if is_looked_at else Footage((), 0)
    _refuse_short_stretches(train, config)
    num_kept = train.num_videos + (val.num_videos if val.reuse is None else 0)

    def of(footage: Footage) -> VideoFrames:
        gib = config.data.cache_gib * min(1.0, footage.num_videos / max(1, num_kept))
        if footage.reuse is None:
            return VideoFrames(footage.entries, dataset.root, requests, cache_gib=gib, makes_people=makes_people)
        return PooledFrames(footage, dataset.root, requests, cache_gib=gib, makes_people=makes_people)

    return of(train), of(val).for_judging() if val.entries else None


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
