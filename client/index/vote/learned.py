"""What is learned from the labelled videos of an index, kept in it, and learned anew when they have changed much."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writing import CatalogueWriter
from cocon.client.index.vote.labels import have_hardly_changed, label_counts

__all__ = ["Learned", "keep_learned"]


class Learned:
    """Something learned from labelled videos; a dataclass.

    Attributes:
        label_counts: Label → its videos in the index.
    """

    __slots__ = ()
    label_counts: Mapping[str, int]

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """The form for JSON."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` wrote; raises `ValueError` if it is no such thing."""

    @classmethod
    def of_fact(cls, value: object) -> Self | None:
        """What an index keeps; None if it keeps none, or one of another version."""
        try:
            return cls.from_dict(value) if isinstance(value, Mapping) else None
        except ValueError:
            return None

    def fits(self, label_counts: Mapping[str, int]) -> bool:
        """Whether an index with so many videos of each label has hardly changed since."""
        return have_hardly_changed(self.label_counts, label_counts)


def keep_learned(
    writer: CatalogueWriter,
    fact: str,
    kept: Learned | None,
    learn: Callable[[Snapshot], Learned | None],
) -> bool:
    """Learn anew where the labelled videos of an index have changed much.

    Args:
        writer: Of the index, in no transaction.
        fact: Under which it is kept.
        kept: What was.
        learn: From a snapshot; None where there is nothing to learn from.

    Returns:
        Whether there is something new, which is committed.
    """
    counts = label_counts(writer)
    if kept is not None and kept.fits(counts):
        return False
    learned = learn(writer.snapshot()) if counts else None
    if learned is None:
        return False
    with writer.transaction():
        writer.put_fact(fact, learned.as_dict() | {"label_counts": counts})
    return True
