"""The videos that a run trains on, and those by which it is judged meanwhile; cut where they are long."""

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.stretches.cutting import Footage, cut
from cocon.training.data.stretches.pool import PooledFrames
from cocon.video.estimation.people import require_people
from cocon.video.reading.live import ViewRequest
from cocon.video.store.dataset import DatasetFolder
from cocon.video.views import VIEWS

__all__ = ["training_frames", "view_requests"]


def view_requests(config: Config) -> dict[str, ViewRequest]:
    """What the configured views need, in the form the readers take."""
    return {view: ViewRequest(config.geometry(view), config.flow_spec(view)) for view in config.views}


def training_frames(config: Config, dataset: DatasetFolder) -> tuple[VideoFrames, VideoFrames | None]:
    """Training videos, and those of split `val` where there are any and something looks at them; headers are read.

    Raises:
        UsageError: people are to be found, and what finds them is not installed.
    """
    is_looked_at = config.optimizer.schedule == "plateau" or config.training.probe_every_epochs > 0
    requests, makes_people, num_epochs = view_requests(config), config.data.views_on_the_fly, config.training.epochs
    if makes_people and any(VIEWS[view].maker == "people" for view in config.views):
        require_people()
    train, val = (
        cut(dataset.split(split), config.data, requests, num_epochs=num_epochs) if is_used else Footage((), 0)
        for split, is_used in (("train", True), ("val", is_looked_at))
    )
    num_kept = train.num_videos + (val.num_videos if val.reuse is None else 0)

    def of(footage: Footage) -> VideoFrames:
        gib = config.data.cache_gib * min(1.0, footage.num_videos / max(1, num_kept))
        if footage.reuse is None:
            return VideoFrames(footage.entries, dataset.root, requests, cache_gib=gib, makes_people=makes_people)
        return PooledFrames(footage, dataset.root, requests, cache_gib=gib, makes_people=makes_people)

    return of(train), of(val).for_judging() if val.entries else None
