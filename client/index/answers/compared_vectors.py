"""What queries are compared with: the clips of a snapshot, or the means of its videos; made when first asked for."""

from collections.abc import Callable
from threading import Lock

import numpy as np

from cocon.client.index.answers.kept_lists import OpenedLists
from cocon.client.index.answers.sound_rows import SoundRows
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.search.final_order import SortKeys
from cocon.client.index.search.means import video_means
from cocon.client.index.search.vector_search import VectorSearch

__all__ = ["ComparedVectors"]


class ComparedVectors:
    """Safe for several threads: what one makes, the others wait for.

    Args:
        snapshot: Of the index.
        sort_keys: Of its rows, to put equal ones in order.
        on_unsound: Called when vectors are found damaged, with how many.
        before: Of an older snapshot, whose work need not be done again.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        sort_keys: SortKeys,
        on_unsound: Callable[[int], None],
        before: "ComparedVectors | None" = None,
    ) -> None:
        self._snapshot, self._sort_keys = snapshot, sort_keys
        self._sound: SoundRows = SoundRows(snapshot, on_unsound, before._sound if before else None)
        self._lists: OpenedLists = OpenedLists(snapshot, before._lists if before else None)
        self._lock = Lock()
        self._clips: VectorSearch | None = None
        self._means: VectorSearch | None = None

    def clips(self, *, is_exact: bool) -> VectorSearch:
        """Search by clips.

        Args:
            is_exact: Whether lists will be left aside. Then a damaged vector may hide among those that are compared, so
                all are proven first; with lists, those that are found.
        """
        with self._lock:
            if self._clips is None:
                self._clips = VectorSearch(
                    self._snapshot.vectors,
                    self._snapshot.rows,
                    lists=self._lists.rows,
                    is_sound=self._sound.are_sound,
                    sort_keys=self._sort_keys,
                )
            if is_exact or self._lists.rows is None:
                self._sound.read_all()
            return self._clips

    def means(self) -> VectorSearch:
        """Search by the means of videos: the rows of an answer are positions of videos in the table of rows."""
        with self._lock:
            if self._means is None:
                self._sound.read_all()
                table, first_rows = self._snapshot.rows, self._snapshot.rows.first_rows
                means, are_whole = video_means(
                    self._snapshot.vectors, table, self._snapshot.unsound, self._snapshot.facts.widths
                )
                positions = np.arange(len(means))
                self._means = VectorSearch(
                    means,
                    RowTable(table.video_ids, positions, np.ones(len(means), np.int64), len(means)),
                    is_sound=lambda videos: are_whole[videos],
                    sort_keys=lambda videos: self._sort_keys(first_rows[videos]),
                )
            return self._means
