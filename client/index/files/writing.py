"""What changing an index needs of where it is kept, a folder or another engine, as protocols.

The catalogue of an index that is open for writing is a SQLite database with the tables of `catalogue/schema.py`,
wherever the index is kept; so what becomes of added, moved and removed videos is said once, in `changes`.
"""

import sqlite3
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.places import Description
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.records import IndexFacts, RowFacts
from cocon.core.progress import OnProgress

__all__ = ["CatalogueWriter", "Store"]


class CatalogueWriter(Protocol):
    """An index open for writing, for one thread; others wait or are refused.

    Attributes:
        facts: What the index is made for.
        row_facts: Where its rows are, and how many are committed.
    """

    facts: IndexFacts
    row_facts: RowFacts

    def fact(self, key: str) -> Any:  # noqa: ANN401  # JSON
        """A named JSON value; None where there is none."""
        ...

    def put_fact(self, key: str, value: object) -> None:
        """Set a named JSON value within a transaction."""
        ...

    def select(self, sql: str, parameters: list[Any] | tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Ask the catalogue, what the present transaction has done included."""
        ...

    def snapshot(self) -> Snapshot:
        """What readers see now, all vectors included."""
        ...

    @property
    def connection(self) -> sqlite3.Connection:
        """Of the catalogue, for changes within a `transaction`."""
        ...

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """All changes inside are committed together, and last afterwards; or readers see none of them."""
        ...

    def check_known(self, path: str, known: Description) -> None:
        """Raise `TooLargeError` where more is known of the video at a path than is kept, before anything is changed."""
        ...

    def append(self, vectors: NDArray[np.float32], blocks: NDArray[np.float16] | None) -> int:
        """Take rows that count when a transaction that follows commits; the number of the first.

        Args:
            vectors: `float32 [K, D]`.
            blocks: `float16 [K, N, D]`; None if the index keeps none.
        """
        ...


class Store(Protocol):
    """Where an index is kept. As a text, its name for messages."""

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        ...

    def known_facts(self) -> IndexFacts | None:
        """What it is made for; None where it has not been made."""
        ...

    def writer(
        self, *, new: tuple[IndexFacts, int] | None = None, wait_s: float = 0.0
    ) -> AbstractContextManager[CatalogueWriter]:
        """Open it for writing.

        Args:
            new: What it is to be made for, and N, when there is none yet.
            wait_s: How long to wait for another writer.

        Raises:
            UsageError: Somebody else is writing, or it cannot be written.
        """
        ...

    def keep_lists(self, writer: Any, on_progress: OnProgress) -> None:  # noqa: ANN401  # its own kind of writer
        """Build what approximate searches need, or make it longer, if that is due."""
        ...
