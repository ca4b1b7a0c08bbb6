"""The videos that vectors are chosen by, or a pooling is fitted to: of the training part, never test videos.

videos = judged_videos(run, run.config)
videos.held      # of which the run itself held out what it did not train on
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cocon.core.errors import UsageError
from cocon.training.config.learning_sections import TrainingSection
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.data.preparation.held_out import part_to_judge
from cocon.training.data.preparation.stored_views import check_views
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder, VideoEntry

__all__ = ["JudgedVideos", "judged_videos", "training_videos"]


@dataclass(frozen=True, slots=True)
class JudgedVideos:
    """Labelled videos in two parts.

    Attributes:
        known: those to learn from and to look among.
        held: those to judge by.
        judged_on: which those are, in words.
    """

    known: VideoFrames
    held: VideoFrames
    judged_on: str


def judged_videos(run: RunFolder, config: Config) -> JudgedVideos:
    """The videos by which the verdict at the end of a training is given, or would be.

    Those that the run held out are held out again; of a run that held nothing out, or of other videos, a part is chosen
    by the same rule.

    Args:
        run: whose vectors are chosen.
        config: its own, or with another dataset.

    Raises:
        UsageError: the dataset cannot be opened, or has no part to judge by.
        MissingViewError: stored views do not suit more videos than may fail.
    """
    dataset, training = open_dataset(config.data), config.training
    remembered = run.held_out or None if config.data.folder == run.config.data.folder else None
    part, judged_on = part_to_judge(dataset, training.held_out_share, seed=training.seed, remembered=remembered)
    if not part.held:  # nothing was asked for, or so little that no whole groups are
        part, judged_on = part_to_judge(dataset, TrainingSection().held_out_share, seed=training.seed)
    if not part.held:
        raise UsageError(
            f"vectors are compared on videos held out of training, of which there are none: {judged_on}; name "
            "--pooling and --cells"
        )
    known = [entry for entry in part.kept if entry.label]
    frames = [_frames(entries, dataset, config, run.views) for entries in (known, part.held)]
    return JudgedVideos(frames[0], frames[1], judged_on)


def training_videos(config: Config, views: Sequence[str]) -> VideoFrames:
    """All training videos of a configuration, in some of its views, labelled or not; raises like `judged_videos`."""
    dataset = open_dataset(config.data)
    return _frames(dataset.split("train"), dataset, config, views)


def _frames(entries: Sequence[VideoEntry], dataset: DatasetFolder, config: Config, views: Sequence[str]) -> VideoFrames:
    requests = {view: request for view, request in view_requests(config).items() if view in views}
    check_views(entries, dataset.root, requests, config.data, is_trained=False)
    return VideoFrames(
        entries,
        dataset.root,
        requests,
        cache_gib=0,
        grid=config.clip.spec(),
        makes_people=config.data.views_on_the_fly,
    )
