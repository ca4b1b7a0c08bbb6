"""What an index remembers of its lists, or of why it has none."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from cocon.core.errors import MismatchError

__all__ = ["ListsRecord"]


@dataclass(frozen=True, slots=True)
class ListsRecord:
    """Facts of a lists file.

    Attributes:
        file: Its name in the index folder; None where no lists help.
        covered_rows: Rows before this one are in the lists, unless they were dead or damaged; later ones are scanned.
        trained_rows: Live rows when the lists were trained, or given up.
        num_lists: Lists.
        num_probed: Lists that a search reads.
        recall: Of the ten best videos, measured beside the exact search, own video left out; NaN never.
        num_bytes: Of the file.
        checksum: Of the file, `stream_checksum`.
        why_none: Why exact search goes on, for people; None where there are lists.
    """

    file: str | None
    covered_rows: int
    trained_rows: int
    num_lists: int
    num_probed: int
    recall: float
    num_bytes: int = 0
    checksum: int = 0
    why_none: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """From a JSON object.

        Raises:
            MismatchError: It is none of this release.
        """
        try:
            return cls(**content)
        except TypeError as error:
            raise MismatchError(
                f"lists of the index are recorded in another form ({error}); run 'client index compact'"
            ) from error
