"""What embedding a video gives: its clips' vectors, or the reason why there are none; both as rows."""

import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.fetching.urls import NOT_ASKED_FOR, shown_url
from cocon.core import errors
from cocon.core.errors import MissingViewError, UnreadableVideoError
from cocon.core.paths import is_url, why_no_file
from cocon.core.printable import escaped, in_one_line, printable

__all__ = ["FailedVideo", "Row", "VideoEmbedding", "completed", "unreadable"]

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class VideoEmbedding:
    """One video, embedded: K clips in order of time.

    Attributes:
        video: Path, as it was given.
        content_sha256: Of the file.
        view: Views that were fused, joined by `+` in alphabetical order.
        start_seconds: `float64 [K]`, relative to the first frame.
        end_seconds: `float64 [K]`.
        embedding: Unit length, `float32 [K, D]`.
        blocks: Likewise of each clip's N blocks, which follow one another, `float32 [K, N, D]`.
        probabilities: Of the classes, `float32 [K, L]`; None unless all models have the same labels.
        num_frames: Frames decoded.
        truncated: Whether the end of the file is known to be missing.
        model: Model names, joined like the views.
        version: Their versions, joined likewise.
        fingerprint: Identity of what the vectors mean.
        missing: View asked for → why the video lacks it.
        made_by: View → who made it, as far as that is known.
    """

    video: str
    content_sha256: str
    view: str
    start_seconds: NDArray[np.float64]
    end_seconds: NDArray[np.float64]
    embedding: NDArray[np.float32]
    blocks: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None
    num_frames: int
    truncated: bool
    model: str
    version: str
    fingerprint: str
    missing: Mapping[str, str] = field(default_factory=dict)
    made_by: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.embedding)

    def __repr__(self) -> str:
        return f"VideoEmbedding({self.video!r}, view={self.view!r}, embedding={list(self.embedding.shape)})"

    def check_complete(self) -> None:
        """Raise `MissingViewError` if a view was left out: such vectors fit no others."""
        if self.missing:
            views, reasons = ", ".join(self.missing), "; ".join(self.missing.values())
            raise MissingViewError(f"video '{printable(self.video)}' lacks view {views}: {reasons}")

    def rows(self) -> Iterator[Row]:
        """One row per clip, the embedding as `float32 [D]`; the video in its written form (`printable.escaped`)."""
        for clip, vector in enumerate(self.embedding):
            yield {
                "video": escaped(self.video),
                "content_sha256": self.content_sha256,
                "view": self.view,
                "clip": clip,
                "start_seconds": round(float(self.start_seconds[clip]), 6),
                "end_seconds": round(float(self.end_seconds[clip]), 6),
                "num_frames": self.num_frames,
                "truncated": self.truncated,
                "model": self.model,
                "version": self.version,
                "fingerprint": self.fingerprint,
                "embedding": vector,
            }


@dataclass(frozen=True, slots=True)
class FailedVideo:
    """One video that could not be worked on; the others are not affected.

    Attributes:
        video: Path, as it was given.
        error: Why: a `VideoError`, or what the operating system said.
    """

    video: str
    error: Exception

    @classmethod
    def told(cls, video: str, kind: str, message: str) -> Self:
        """The same from what `row` tells: the name of the error's class, and its message."""
        named = getattr(errors, kind, None) or getattr(builtins, kind, None)
        if isinstance(named, type) and issubclass(named, errors.CoconError | OSError):
            return cls(video, named(message))
        return cls(video, errors.VideoError(message))

    def row(self) -> Row:
        """`video, error: {class, message}`."""
        return {"video": escaped(self.video), "error": {"class": type(self.error).__name__, "message": self.message}}

    @property
    def message(self) -> str:
        """The reason on one line."""
        return in_one_line(self.error)


def completed(result: VideoEmbedding | FailedVideo) -> VideoEmbedding | FailedVideo:
    """The same, but a video that lacks a view counts as failed."""
    if isinstance(result, VideoEmbedding):
        try:
            result.check_complete()
        except MissingViewError as error:
            return FailedVideo(result.video, error)
    return result


def unreadable(path: str) -> UnreadableVideoError | None:
    """Why a video cannot be read where no file is; None if one is there."""
    reason = why_no_file(path)
    if reason and is_url(path):
        return UnreadableVideoError(f"video '{shown_url(path)}' {NOT_ASKED_FOR}")
    return UnreadableVideoError(f"video '{printable(path)}' {reason}") if reason else None
