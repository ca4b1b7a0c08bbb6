"""The rows of a snapshot that filters leave."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.moments import HAS_MOMENTS, clip_labels, moments_of
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.filters import NO_FILTERS, Filters

__all__ = ["ChosenRows", "FilteredRows"]

# All places of the contents that have labelled parts at one of them.
_WITH_PARTS = f"""
SELECT video_id, path, label, CASE WHEN {HAS_MOMENTS} THEN metadata END, spans FROM places JOIN videos USING (video_id)
WHERE video_id IN (SELECT video_id FROM places WHERE {HAS_MOMENTS})
"""
# Filters whose rows are remembered.
_MAX_KNOWN = 16


@dataclass(frozen=True, slots=True, eq=False)
class ChosenRows:
    """What filters leave; None stands for all.

    Attributes:
        videos: Whether each video of the table of rows is left, `bool [V]`.
        rows: Whether each row is, `bool [R]`; None also where all rows of these videos are.
        paths: The places that are left, in their written form.
    """

    videos: NDArray[np.bool_] | None = None
    rows: NDArray[np.bool_] | None = None
    paths: frozenset[str] | None = None


class FilteredRows:
    """Looks up what filters leave, once for each of the last ones. Safe for several threads.

    Args:
        snapshot: Of the index.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[Filters, ChosenRows] = {NO_FILTERS: ChosenRows()}

    def of(self, filters: Filters) -> ChosenRows:
        """The rows that filters leave."""
        if (found := self._known.get(filters)) is None:
            found = self._looked_up(filters)
            kept = self._known if len(self._known) < _MAX_KNOWN else {NO_FILTERS: ChosenRows()}
            self._known = {**kept, filters: found}
        return found

    def _looked_up(self, filters: Filters) -> ChosenRows:
        table = self._snapshot.rows
        videos, rows, paths = None, None, None
        if filters.are_of_places:
            places = filters.places(self._snapshot.select)
            paths = frozenset(path for path, _ in places)
            videos = np.zeros(len(table.video_ids), np.bool_)
            videos[table.positions_of(np.unique(np.array([video_id for _, video_id in places], np.int64)))] = True
        if filters.have_times:
            rows = np.zeros(table.total_rows, np.bool_)
            live = table.rows_of(np.arange(len(table.video_ids)))
            rows[live[filters.are_timely(self._snapshot.spans)]] = True
        if (of_parts := self._rows_of_parts(filters, paths)) is not None:
            rows = of_parts if rows is None else rows & of_parts
        if rows is not None:
            with_rows = np.zeros(len(table.video_ids), np.bool_)
            with_rows[table.videos_of(np.flatnonzero(rows & table.live))] = True
            videos = with_rows if videos is None else videos & with_rows
        return ChosenRows(videos, rows, paths)

    def _rows_of_parts(self, filters: Filters, paths: frozenset[str] | None) -> NDArray[np.bool_] | None:
        """Which rows have a label that is asked for, `bool [R]`; None where the labels of videos tell."""
        if paths is None or not (filters.labels or filters.not_labels):
            return None
        allowed: dict[int, NDArray[np.bool_]] = {}  # id of a content with labelled parts → its clips
        for video_id, path, label, metadata, spans in self._snapshot.select(_WITH_PARTS):
            if path in paths:
                times = np.frombuffer(spans, "<f8").reshape(-1, 2)
                labels = clip_labels(times, moments_of(json.loads(metadata or "{}")), label)
                accepted = np.array([filters.accept(each) for each in labels], np.bool_)
                allowed[video_id] = allowed.get(video_id, False) | accepted
        if not allowed:
            return None
        table = self._snapshot.rows
        rows = np.ones(table.total_rows, np.bool_)
        for position in table.positions_of(np.array(sorted(allowed), np.int64)).tolist():
            rows[table.rows_of(np.array([position]))] = allowed[int(table.video_ids[position])]
        return rows
