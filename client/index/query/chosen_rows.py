"""The rows of a snapshot that filters leave."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.filters import NO_FILTERS, Filters

__all__ = ["ChosenRows", "FilteredRows"]

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
            timely = np.zeros(len(table.video_ids), np.bool_)
            timely[table.videos_of(np.flatnonzero(rows))] = True
            videos = timely if videos is None else videos & timely
        return ChosenRows(videos, rows, paths)
