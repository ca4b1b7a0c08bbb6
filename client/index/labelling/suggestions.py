"""Which videos to label next, so that few labels tell most.

for suggestion in suggestions(index, 20):
    print(suggestion.video.video, suggestion.reason)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.answers.all_vectors import StoredMeans
from cocon.client.index.labelling.clusters import HasVideoVectors
from cocon.client.index.labelling.coverage import standing_for_most, stood_for
from cocon.client.index.labelling.uncertainty import open_questions
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.records import IndexedVideo
from cocon.core.errors import UsageError

__all__ = ["Suggestion", "suggested_order", "suggestions"]

# With fewer labels what seems certain is not: measured in docs/results/label-suggestions.md.
_MIN_LABELLED = 40
# What it counts for that a video is stood for whose label is sure, against 1 where it is open.
_LEAST_WEIGHT = 0.1
# Of a doubt that is told.
_OPEN = 0.5


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

    Each stands for many videos that no labelled one, and none before it, is like. From 40 labelled videos on those
    count most whose label is open. What has a label already, itself or in a part, is not suggested.

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
    labels = _labels(index, stored)
    order = list(islice(suggested_order(stored.vectors, labels), budget))
    if not order:
        return []
    labelled = np.array([place for place, label in enumerate(labels) if label is not None], np.int64)
    counts = stood_for(stored.vectors, labelled, [position for position, _ in order])
    return [
        Suggestion(stored.videos[position], "; ".join(filter(None, [question, _likeness(count)])))
        for (position, question), count in zip(order, counts.tolist(), strict=True)
    ]


def suggested_order(vectors: NDArray[np.float32], labels: Sequence[str | None]) -> Iterator[tuple[int, str]]:
    """Positions of vectors to label next, and what is open of each: `jump or kick`, or nothing.

    Args:
        vectors: Unit length, `float32 [V, D]`.
        labels: Of each; None where it has none, empty where it has some that say nothing of all of it.
    """
    have_label = np.array([label is not None for label in labels], np.bool_)
    asked = open_questions(vectors, labels) if have_label.sum() >= _MIN_LABELLED else None
    weights = None if asked is None else _LEAST_WEIGHT + (1 - _LEAST_WEIGHT) * asked.doubts
    for position in standing_for_most(vectors, np.flatnonzero(have_label), np.flatnonzero(~have_label), weights):
        question = ""
        if asked is not None and asked.doubts[position] >= _OPEN:
            question = " or ".join(asked.labels[code] for code in asked.likeliest[position])
        yield position, question


def _likeness(count: int) -> str:
    return f"stands for {count} other{'s' if count > 1 else ''}" if count else "is unlike all others"


def _labels(index: _HasVideos, stored: StoredMeans) -> list[str | None]:
    """Of each content its label; empty where there are only labels of parts, None where there is none."""
    labels: dict[int, str] = {}
    for video in index.videos():
        if video.label or video.moments:
            labels[video.video_id] = labels.get(video.video_id) or video.label or ""
    return [labels.get(video.video_id) for video in stored.videos]
