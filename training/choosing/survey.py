"""What a data set is like, as far as headers, stored views and a look at where people are tell; nothing is decoded.

survey = survey_of(dataset, ("rgb", "flow", "pose", "mask"), config.training)
survey.num_videos, survey.shortest_seconds, survey.stored["pose"], survey.people
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cocon.core.errors import MissingViewError
from cocon.training.config.learning_sections import TrainingSection
from cocon.training.data.preparation.held_out import part_to_judge
from cocon.training.data.stretches.cutting import EntryLength, length_of
from cocon.video.following.boxes import box_of
from cocon.video.following.rule import FOLLOWED_VIEWS, FollowedView
from cocon.video.store.dataset import DatasetFolder, VideoEntry
from cocon.video.store.files import read_view, stored_facts
from cocon.video.store.stored_view import FRAMES_WITH_PERSON
from cocon.video.views import VIEWS

__all__ = ["DataSurvey", "PeopleSeen", "survey_of"]

# So many videos, evenly spread, stand for all.
_LOOKED_AT = 300
# Boxes of people are taken from fewer: their views are unpacked for it.
_LOOKED_INTO, _FRAMES_OF_EACH = 24, 12
# By fewer held-out videos, which encoders are best is luck.
_ENOUGH_TO_JUDGE = 20
# What a shortest video is: a tenth may be shorter.
_SHORT_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class PeopleSeen:
    """Where stored views find people.

    Attributes:
        by: the view that was looked into.
        share: of the videos, in which anybody is found.
        height: of the people, as a share of the picture's height, median; 0 where nobody is found.
    """

    by: FollowedView
    share: float
    height: float


@dataclass(frozen=True, slots=True)
class DataSurvey:
    """What training videos are like.

    Attributes:
        num_videos: how many there are.
        lengths: of those that were looked at and say it.
        num_labels: classes among them.
        can_judge: whether so many videos are held out that it can be told on them which encoders are best.
        stored: view → share of the videos of which it is stored.
        people: where stored views find any; None where none is stored.
    """

    num_videos: int
    lengths: tuple[EntryLength, ...]
    num_labels: int
    can_judge: bool
    stored: Mapping[str, float]
    people: PeopleSeen | None

    @property
    def seconds(self) -> float:
        """Of all videos together."""
        return self.num_videos * statistics.fmean(one.seconds for one in self.lengths) if self.lengths else 0.0

    @property
    def shortest_seconds(self) -> float:
        """So long are nine of ten videos at least."""
        return float(np.quantile([one.seconds for one in self.lengths], _SHORT_SHARE)) if self.lengths else 0.0

    @property
    def rate(self) -> float:
        """Frames a second of the middle one of them."""
        return statistics.median(one.rate for one in self.lengths) if self.lengths else 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels of the commonest pictures."""
        return statistics.mode(one.shape for one in self.lengths) if self.lengths else (0, 0)

    def __str__(self) -> str:
        if not self.lengths:
            return f"{self.num_videos} videos, of which no header can be read"
        shortest, longest = (f"{end(one.seconds for one in self.lengths):.3g}" for end in (min, max))
        seconds = shortest if shortest == longest else f"{shortest} to {longest}"
        height, width = self.shape
        labels = f"{self.num_labels} labels" if self.num_labels else "no labels"
        return f"{self.num_videos} videos of {seconds} s, {width} × {height} at {self.rate:.3g} frames/s, {labels}"


def survey_of(dataset: DatasetFolder, views: Sequence[str], training: TrainingSection) -> DataSurvey:
    """Look at the training videos of a data set, at some hundred of them where they are more.

    Args:
        dataset: the videos.
        views: that may be trained on.
        training: says how many videos judge, where split `val` does not.

    Raises:
        UsageError: its folders do not tell which videos are for training.
    """
    entries = dataset.split("train")
    some = _spread(entries, _LOOKED_AT)
    lengths = tuple(one for one in map(length_of, some) if one is not None and one.seconds > 0)
    names = list(dict.fromkeys(entry.store_id for entry in some))
    facts = {
        view: [found for name in names if (found := stored_facts(dataset.root, view, name))]
        for view in views
        if VIEWS[view].is_stored
    }
    stored = {view: len(found) / max(1, len(names)) for view, found in facts.items()}
    labels = {entry.label for entry in entries if entry.label}
    return DataSurvey(
        len(entries), lengths, len(labels), _can_judge(dataset, training), stored, _people(dataset, names, facts)
    )


def _spread(entries: Sequence[VideoEntry], number: int) -> list[VideoEntry]:
    if len(entries) <= number:
        return list(entries)
    return [entries[int(place)] for place in np.linspace(0, len(entries) - 1, number)]


def _can_judge(dataset: DatasetFolder, training: TrainingSection) -> bool:
    if not training.held_out_share:
        return False
    part, _ = part_to_judge(dataset, training.held_out_share, seed=training.seed)
    return len(part.held) >= _ENOUGH_TO_JUDGE


def _people(
    dataset: DatasetFolder, names: Sequence[str], facts: Mapping[str, Sequence[Mapping[str, dict[str, float]]]]
) -> PeopleSeen | None:
    by = next((view for view in FOLLOWED_VIEWS if facts.get(view)), None)
    if by is None:
        return None
    counts = [float(each["attributes"].get(FRAMES_WITH_PERSON, 1)) for each in facts[by]]
    share = sum(count > 0 for count in counts) / len(counts)
    heights = [
        height for name in names[:: max(1, len(names) // _LOOKED_INTO)] for height in _heights(dataset, by, name)
    ]
    return PeopleSeen(by, share, statistics.median(heights) if heights else 0.0)


def _heights(dataset: DatasetFolder, by: FollowedView, name: str) -> list[float]:
    """How high people are in some frames of a video in which they are found, as shares of the picture's height."""
    try:
        view = read_view(dataset.root, by, name)
    except MissingViewError:  # who trains on it will say why
        return []
    rows = (view.rows[int(place)] for place in np.linspace(0, len(view.timestamps) - 1, _FRAMES_OF_EACH))
    boxes = (box_of(by, row, view.height, view.width) for row in rows)
    return [box.bottom - box.top for box in boxes if box is not None]
