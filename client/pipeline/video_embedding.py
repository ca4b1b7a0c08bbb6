"""What embedding a video gives: its clips' vectors, or the reason why there are none; both as rows."""

import builtins
from dataclasses import dataclass
from typing import Self

from cocon.client.fetching.urls import NOT_ASKED_FOR, shown_url
from cocon.core import errors
from cocon.core.errors import MissingViewError, UnreadableVideoError
from cocon.core.paths import is_url, why_no_file
from cocon.core.printable import escaped, in_one_line, printable
from cocon.embedding.videos.video_embedding import Row, VideoEmbedding

__all__ = ["FailedVideo", "Row", "VideoEmbedding", "completed", "unreadable"]


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
