"""What an index knows of a path and of a content, as values."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from types import MappingProxyType
from typing import Self

from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.catalogue.moments import LabelledMoment, moments_of, painted, with_moments

__all__ = ["NO_VALUES", "Content", "Description", "Place", "Values", "stamp_of"]

Values = Mapping[str, str | float | None]
NO_VALUES: Values = MappingProxyType({})
"""Of metadata."""


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a video besides its content.

    Attributes:
        label: Of it.
        metadata: What else, labels of its parts included.
    """

    label: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    def after(self, label: str | None, values: Values) -> "Description":
        """The same when something is said anew.

        Args:
            label: None leaves what there is, an empty one takes it away.
            values: Of its metadata; None takes one away.
        """
        kept = {key: value for key, value in {**self.metadata, **values}.items() if value is not None}
        return Description(self.label if label is None else label or None, kept)

    def with_moments(self, moments: Iterable[LabelledMoment]) -> "Description":
        """The same with parts of it labelled, one after the other; see `moments.painted`."""
        parts = reduce(painted, moments, moments_of(self.metadata))
        return replace(self, metadata=with_moments(self.metadata, parts))


@dataclass(frozen=True, slots=True)
class Place:
    """A path of an index.

    Attributes:
        path: Absolute.
        video_id: Of the content that was there when it was looked at last.
        content_sha256: Likewise.
        known: Of the video there.
        stamp: Of the file; None if its content is to be read when it is asked for again.
    """

    path: str
    video_id: int
    content_sha256: str
    known: Description
    stamp: FileStamp | None

    @classmethod
    def of(cls, path: str, video_id: int, sha256: str, label: str | None, metadata: str, file: str | None) -> Self:
        """What the catalogue says of a path."""
        return cls(path, video_id, sha256, Description(label, json.loads(metadata)), stamp_of(file))


@dataclass(frozen=True, slots=True)
class Content:
    """A content of an index.

    Attributes:
        video_id: Of it.
        overlap: Share of a clip that the next one repeats.
        places: Where it was found, by path.
    """

    video_id: int
    overlap: float
    places: tuple[str, ...]


def stamp_of(file: str | None) -> FileStamp | None:
    """What the catalogue keeps of a file."""
    return None if file is None else FileStamp(**json.loads(file))
