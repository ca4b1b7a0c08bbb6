"""What a request asks with: stored and uploaded videos, or parts of them, as examples."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cocon.client.index.query.queries import Example
from cocon.client.index.query.spans import TimeSpan, clips_of_part
from cocon.client.pipeline.video_embedding import Row, VideoEmbedding
from cocon.client.web.asked import Fields
from cocon.client.web.previews import MediaSource
from cocon.client.web.services import WebServices
from cocon.core.errors import UsageError
from cocon.core.printable import escaped

__all__ = ["Asking", "asked_example", "asked_span", "embedded_uploads"]


@dataclass(frozen=True, slots=True)
class Asking:
    """One example of a request.

    Attributes:
        example: Its clips.
        name: What a person knows it by.
        path: Of a stored one, in its written form; else empty.
        source: To be shown.
        duration_seconds: Of the whole video.
        embedding: Of an uploaded one, with the clips that are meant alone; None of a stored one.
    """

    example: Example
    name: str
    path: str
    source: MediaSource
    duration_seconds: float
    embedding: VideoEmbedding | None = field(default=None, repr=False)

    @classmethod
    def of_stored(cls, services: WebServices, video_id: int, span: TimeSpan | None) -> "Asking":
        """An indexed video, or a part of it; raises like `IndexReader.example`, and `RefusedError` without it."""
        source, whole = services.stored(video_id), services.index.example(video_id)
        example = whole if span is None else services.index.example(video_id, span)
        assert whole.spans is not None
        return cls(example, escaped(Path(whole.video).name), escaped(whole.video), source, float(whole.spans.max()))

    @classmethod
    def of_uploaded(
        cls, services: WebServices, upload_id: str, whole: VideoEmbedding, span: TimeSpan | None
    ) -> "Asking":
        """An uploaded video, or a part of it; raises like `clips_of_part` and `Example.of`."""
        upload = services.uploads.at(upload_id)
        part = whole if span is None else clips_of_part(whole, span)
        source, duration = services.uploaded(upload), float(whole.end_seconds.max())
        return cls(Example.of(part, upload.name), upload.name, "", source, duration, part)

    def row(self, services: WebServices) -> Row:
        """`name, path, duration_seconds` and the links of the part that is meant."""
        assert self.example.spans is not None
        begin, end = float(self.example.spans.min()), float(self.example.spans.max())
        links = services.links(self.source, begin, end)
        return {"name": self.name, "path": self.path, "duration_seconds": round(self.duration_seconds, 6), **links}


async def embedded_uploads(services: WebServices, asked: list[Fields]) -> Mapping[str, VideoEmbedding]:
    """The vectors of all uploads that examples name, when they are known; raises like `Uploads.embedding`."""
    ids = {each.text("upload_id") for each in asked if each.has("upload_id")}
    return {upload_id: await services.uploads.embedding(upload_id) for upload_id in sorted(ids)}


def asked_example(services: WebServices, asked: Fields, uploads: Mapping[str, VideoEmbedding]) -> Asking:
    """What one object `{video_id | upload_id, start_seconds?, end_seconds?}` means.

    Raises:
        UsageError: It is none, or has no such part.
        RefusedError: There is no such video.
        MismatchError: Its vectors are damaged.
    """
    span = asked_span(asked)
    if asked.has("upload_id"):
        upload_id = asked.text("upload_id")
        return Asking.of_uploaded(services, upload_id, uploads[upload_id], span)
    return Asking.of_stored(services, asked.integer("video_id"), span)


def asked_span(asked: Fields) -> TimeSpan | None:
    """The part that is meant; None for all."""
    begin, end = asked.seconds("start_seconds"), asked.seconds("end_seconds")
    if begin is None and end is None:
        return None
    span = TimeSpan(begin or 0.0, math.inf if end is None else end)
    if span.start_seconds >= span.end_seconds:
        raise UsageError(f"the part ends ({span.end_seconds:g} s) before it has begun; name a later end")
    return span
