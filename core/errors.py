"""Every error this project raises on purpose, with the exit code its command ends with.

    CoconError                      1
    ├── StorageError                1   a disk is full, or fails
    ├── UsageError                  2   wrong argument or configuration, refused overwrite, missing path
    ├── VideoError                  3   one input failed; batch work goes on with the next
    │   ├── UnreadableVideoError        the file is no video, or decoding fails before the first frame
    │   │   ├── EmptyPartError              a part of a sound video has no frame
    │   │   └── WorkerDiedError             the process that decoded it died
    │   ├── NoVideoStreamError          a media file without pictures
    │   ├── TooLargeError               beyond a limit for untrusted media
    │   ├── TimedOutError               no new frame for too long
    │   ├── TruncatedVideoError         part of the pictures is lost
    │   └── MissingViewError            a view of the video that a model needs is not there
    ├── ServerError                 4   unreachable, not ready, port in use
    ├── MismatchError               5   model, index or vectors do not belong together
    └── GateError                   6   a parity gate failed

Messages are one line: name, value, rule, remedy.
"""

from typing import ClassVar

__all__ = [
    "CoconError",
    "EmptyPartError",
    "GateError",
    "MismatchError",
    "MissingViewError",
    "NoVideoStreamError",
    "ServerError",
    "StorageError",
    "TimedOutError",
    "TooLargeError",
    "TruncatedVideoError",
    "UnreadableVideoError",
    "UsageError",
    "VideoError",
    "WorkerDiedError",
]


class CoconError(Exception):
    """Root of all deliberate errors."""

    exit_code: ClassVar[int] = 1


class StorageError(CoconError):
    """A disk is full, a quota used up, or a device fails; what was complete before is kept."""


class UsageError(CoconError):
    """A wrong argument or configuration, a refused overwrite, or a missing path."""

    exit_code: ClassVar[int] = 2


class VideoError(CoconError):
    """One input video failed; the others are not affected."""

    exit_code: ClassVar[int] = 3


class UnreadableVideoError(VideoError):
    """The file is not a video, or nothing of it decodes."""


class EmptyPartError(UnreadableVideoError):
    """A part of a video has no frame, such as a pause where frames come as something moves; nothing is broken."""


class WorkerDiedError(UnreadableVideoError):
    """The process that decoded the file died: a decoder's fault, or the system's for want of memory."""


class NoVideoStreamError(VideoError):
    """The file is media, but has no video stream."""


class TooLargeError(VideoError):
    """The file exceeds a limit for untrusted media."""


class TimedOutError(VideoError):
    """The decoder gave no new frame for too long and was stopped."""


class TruncatedVideoError(VideoError):
    """Some pictures of the file are lost or damaged; a check of a dataset names it, `--strict` refuses the file."""


class MissingViewError(VideoError):
    """A view that the model needs is not stored for this video and cannot be made."""


class ServerError(CoconError):
    """A server cannot be reached, is not ready, or cannot have its port."""

    exit_code: ClassVar[int] = 4


class MismatchError(CoconError):
    """A model, an index or a vector does not belong to the others."""

    exit_code: ClassVar[int] = 5


class GateError(CoconError):
    """A quality gate, such as export parity, failed."""

    exit_code: ClassVar[int] = 6
