"""Which vectors of a snapshot are what was stored: each is proven once."""

from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.snapshot import Snapshot

__all__ = ["SoundRows"]


class SoundRows:
    """Safe for several threads.

    Args:
        snapshot: Of the index.
        on_unsound: Called when vectors are found damaged, with how many.
        before: Of an older snapshot; what it has proven need not be read again.
    """

    def __init__(
        self, snapshot: Snapshot, on_unsound: Callable[[int], None], before: "SoundRows | None" = None
    ) -> None:
        self._snapshot, self._on_unsound = snapshot, on_unsound
        self._lock = Lock()
        self._is_proven = np.zeros(snapshot.rows.total_rows, np.bool_)
        self._has_read_all = False
        name = snapshot.row_facts.vectors  # none where they are in no file of their own
        if before is not None and name and before._snapshot.row_facts.vectors == name:
            known = min(len(before._is_proven), len(self._is_proven))
            self._is_proven[:known] = before._is_proven[:known]

    def read_all(self) -> None:
        """Prove all, once; those that an older snapshot has proven are not read again."""
        if self._has_read_all:
            return
        with self._lock:
            if not self._has_read_all:
                unsound = self._snapshot.unsound
                self._is_proven[:] = True
                self._is_proven[unsound] = False
                self._has_read_all = True
                if len(unsound):
                    self._on_unsound(len(unsound))

    def are_sound(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the vectors of live rows are what was stored: `bool [n]`."""
        found = self._is_proven[rows]
        if self._has_read_all or found.all():
            return found
        unknown = rows[~found]
        proven = self._snapshot.are_sound(unknown)
        self._is_proven[unknown[proven]] = True
        if not proven.all():
            self._on_unsound(len(np.unique(unknown[~proven])))
        return self._is_proven[rows]
