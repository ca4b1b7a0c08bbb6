"""Which videos to label next, so that few labels tell most.

for suggestion in suggestions(index, 20):
    print(suggestion.video.video, suggestion.reason)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from cocon.client.index.labelling.clusters import HasVideoVectors
from cocon.client.index.labelling.coverage import standing_for_most
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.records import IndexedVideo
from cocon.core.errors import UsageError

__all__ = ["Suggestion", "suggestions"]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A video to label.

    Attributes:
        video: At the first of its places.
        reason: Why, in a few words.
    """

    video: IndexedVideo
    reason: str

    def row(self) -> dict[str, object]:
        """The fields of the video by name, and the reason."""
        return self.video.row() | {"reason": self.reason}


class _HasVideos(HasVideoVectors, Protocol):
    def videos(self, filters: Filters = NO_FILTERS) -> Sequence[IndexedVideo]:
        """Videos by path."""
        ...


def suggestions(index: _HasVideos, budget: int, filters: Filters = NO_FILTERS) -> list[Suggestion]:
    """Videos to label next, the most telling first: a beginning of the list is one for a smaller budget.

    Each stands for many videos that no labelled one, and none before it, is like. What has a label already, itself or
    in a part, is none of them.

    Args:
        index: Of them.
        budget: How many, at least 1; there are fewer where fewer are without label.
        filters: What they must meet.

    Raises:
        UsageError: The index does not exist, or the budget is out of range.
    """
    if budget < 1:
        raise UsageError(f"budget ({budget}) must be at least 1")
    stored = index.video_vectors(filters)
    labelled = {video.video_id for video in index.videos() if video.label or video.moments}
    have_label = np.array([video.video_id in labelled for video in stored.videos], np.bool_)
    order = standing_for_most(stored.vectors, np.flatnonzero(have_label), np.flatnonzero(~have_label))
    return [
        Suggestion(stored.videos[position], f"stands for {count} videos like it")
        for position, count in islice(order, budget)
    ]
