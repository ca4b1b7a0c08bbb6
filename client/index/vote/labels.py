"""The labels of an index: of places in its catalogue, and so of the videos that lie there, and of parts of them."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.moments import HAS_MOMENTS, PART_LABEL, PARTS, clip_labels, moments_of
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.files.snapshot import Snapshot

__all__ = ["have_hardly_changed", "label_counts", "labelled_rows", "labels_at", "labels_of"]

# Share of the videos that may come, go or change their class before what was learned from them is learned anew.
_MAX_CHANGED = 0.1


_COUNTS = f"""
SELECT label, count(DISTINCT video_id) FROM (
    SELECT label, video_id FROM places WHERE label <> ''
    UNION ALL SELECT {PART_LABEL}, video_id FROM places JOIN {PARTS} WHERE {HAS_MOMENTS}
) WHERE label <> '' GROUP BY label
"""
_PARTS = f"""
SELECT video_id, metadata, spans FROM places JOIN videos USING (video_id) WHERE {HAS_MOMENTS} ORDER BY path DESC
"""


class _Catalogue(Protocol):
    """What can be asked in SQL: a snapshot, or a writer."""

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows."""
        ...


def label_counts(catalogue: _Catalogue) -> dict[str, int]:
    """Label → videos that have it at some place, themselves or in a part."""
    return dict(catalogue.select(_COUNTS))


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
    damaged = _damaged(snapshot)
    return [
        labels[video_id].most_common(1)[0][0] if video_id in labels and video_id not in damaged else None
        for video_id in snapshot.rows.video_ids.tolist()
    ]


def labelled_rows(snapshot: Snapshot) -> tuple[RowTable, list[str | None]]:
    """The table of rows, and the label of each of its videos, where every stretch of one label counts as a video.

    A video without labelled parts is one. Ids are those of the videos, so that some come several times.
    """
    table, labels, damaged = snapshot.rows, labels_of(snapshot), _damaged(snapshot)
    stretches: dict[int, list[tuple[int, int, str | None]]] = {}
    for video_id, metadata, spans in snapshot.select(_PARTS):  # the first place by path has the last word
        moments = moments_of(json.loads(metadata)) if video_id not in damaged else ()
        for position in table.positions_of(np.array([video_id])).tolist() if moments else ():
            named = clip_labels(np.frombuffer(spans, "<f8").reshape(-1, 2), moments, labels[position])
            stretches[position] = _stretches(int(table.first_rows[position]), named)
    return _divided(table, labels, stretches) if stretches else (table, labels)


def labels_at(snapshot: Snapshot, video_ids: NDArray[np.int64], clips: NDArray[np.int64]) -> list[str | None]:
    """What clips show: the label of the part that each lies in, else of its video, at the first place that has one.

    Args:
        snapshot: Of the index; no vector of it is read.
        video_ids: Of each, `int64 [M]`.
        clips: Number of each in its video, `int64 [M]`.
    """
    of_video = dict(snapshot.select("SELECT video_id, label FROM places WHERE label <> '' ORDER BY path DESC"))
    of_clips = {
        video_id: clip_labels(
            np.frombuffer(spans, "<f8").reshape(-1, 2), moments_of(json.loads(metadata)), of_video.get(video_id)
        )
        for video_id, metadata, spans in snapshot.select(_PARTS)
    }
    return [
        of_clips[video_id][clip] if video_id in of_clips else of_video.get(video_id)
        for video_id, clip in zip(video_ids.tolist(), clips.tolist(), strict=True)
    ]


def _stretches(first_row: int, labels: Sequence[str | None]) -> list[tuple[int, int, str | None]]:
    """First row, number of rows and label of each stretch of equal labels."""
    stretches = []
    for label, clips in groupby(labels):
        count = sum(1 for _ in clips)
        stretches.append((first_row, count, label))
        first_row += count
    return stretches


def _divided(
    table: RowTable, labels: Sequence[str | None], stretches: Mapping[int, list[tuple[int, int, str | None]]]
) -> tuple[RowTable, list[str | None]]:
    """The table with the stretches of some videos in their places."""
    repeats = np.ones(len(labels), np.int64)
    repeats[list(stretches)] = [len(parts) for parts in stretches.values()]
    begins = np.cumsum(repeats) - repeats
    ids, firsts, counts = (np.repeat(of, repeats) for of in (table.video_ids, table.first_rows, table.num_rows))
    named = [label for label, count in zip(labels, repeats.tolist(), strict=True) for _ in range(count)]
    for position, parts in stretches.items():
        for place, (first, count, label) in enumerate(parts, start=int(begins[position])):
            firsts[place], counts[place], named[place] = first, count, label
    return RowTable(ids, firsts, counts, table.total_rows), named


def _damaged(snapshot: Snapshot) -> set[int]:
    """Ids of videos that have a damaged vector."""
    return set(snapshot.rows.video_ids[snapshot.rows.videos_of(snapshot.unsound)].tolist())
