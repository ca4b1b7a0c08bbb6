"""The labels of an index: of places in its catalogue, and so of the videos that lie there."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Protocol

from cocon.client.index.files.snapshot import Snapshot

__all__ = ["have_hardly_changed", "label_counts", "labels_of"]

# Share of the videos that may come, go or change their class before what was learned from them is learned anew.
_MAX_CHANGED = 0.1


class _Catalogue(Protocol):
    """What can be asked in SQL: a snapshot, or a writer."""

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows."""
        ...


def label_counts(catalogue: _Catalogue) -> dict[str, int]:
    """Label → videos that have it at some place."""
    sql = "SELECT label, count(DISTINCT video_id) FROM places WHERE label <> '' GROUP BY label"
    return dict(catalogue.select(sql))


def have_hardly_changed(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether what was learned from labelled videos, so many of each label, still holds for those of now."""
    changes = sum(abs(now.get(label, 0) - before.get(label, 0)) for label in {*now, *before})
    return changes <= _MAX_CHANGED * sum(before.values())


def labels_of(snapshot: Snapshot) -> list[str | None]:
    """The label of each video of the table of rows; None without one.

    A video at several places has the label of most, or of the first by path; one whose vectors are damaged has none.
    """
    labels: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for video_id, label in snapshot.select("SELECT video_id, label FROM places WHERE label <> '' ORDER BY path"):
        labels[video_id][label] += 1
    damaged = set(snapshot.rows.video_ids[snapshot.rows.videos_of(snapshot.unsound)].tolist())
    return [
        labels[video_id].most_common(1)[0][0] if video_id in labels and video_id not in damaged else None
        for video_id in snapshot.rows.video_ids.tolist()
    ]
