"""Videos that come into an index, as it keeps them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cocon.client.index.changes.observation import absolute
from cocon.client.index.exchange.clips_read import VideoClips
from cocon.core.printable import escaped, unescaped

__all__ = ["Incoming", "IncomingPlace", "incoming_of"]


@dataclass(frozen=True, slots=True)
class IncomingPlace:
    """A path.

    Attributes:
        path: Absolute, in its written form.
        label: Of the video there; None leaves what the index has.
        metadata: What else is known of it; None leaves what the index has.
    """

    path: str
    label: str | None
    metadata: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A content.

    Attributes:
        content_sha256: Of the file.
        places: Where it is, one at least.
        overlap: Share of a clip that the next one repeats.
        tells_overlap: Whether the file says so, and it was not guessed from its clips.
        columns: What else the catalogue keeps: `view, num_frames, truncated, model, version, fingerprint`.
    """

    content_sha256: str
    places: tuple[IncomingPlace, ...]
    overlap: float
    tells_overlap: bool
    columns: Mapping[str, Any]


def incoming_of(clips: VideoClips) -> list[Incoming]:
    """The videos of a part of a file."""
    return [_incoming(clips, number) for number in range(len(clips))]


def _incoming(clips: VideoClips, number: int) -> Incoming:
    text = {name: values[number] for name, values in clips.texts.items()}
    first = {"video": text["video"], "label": text["label"], "metadata": text["metadata"]}
    places = tuple(_place(place) for place in (first, *(clips.also[number] or ())))
    columns: dict[str, Any] = {name: text[name] for name in ("view", "model", "version", "fingerprint")}
    columns |= {
        "num_frames": int(clips.numbers["num_frames"][number]),
        "truncated": bool(clips.numbers["truncated"][number]),
    }
    return Incoming(
        str(text["content_sha256"]), places, float(clips.numbers["overlap"][number]), clips.tells_overlap, columns
    )


def _place(place: Mapping[str, Any]) -> IncomingPlace:
    metadata = place["metadata"]
    return IncomingPlace(
        escaped(absolute(unescaped(place["video"]))),
        place["label"],
        None if metadata is None else json.loads(metadata),
    )
