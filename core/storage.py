"""A disk that takes no more: one error that names the file, whatever library noticed it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from cocon.core.errors import CoconError, StorageError, UsageError

__all__ = ["cause_of_storage", "refused", "storing"]

# What the system says of a disk, and what helps.
_REMEDIES = {
    errno.ENOSPC: "make room and run the same again",
    errno.EDQUOT: "make room in your quota and run the same again",
    errno.EFBIG: "files may not be larger here, see 'ulimit -f'",
    errno.EIO: "the disk may be damaged",
}


@contextmanager
def storing(path: str | os.PathLike[str], what: str = "") -> Iterator[None]:
    """Call it by the name of a file when the disk takes no more of it.

    Args:
        path: what is being written, by the name that the user knows.
        what: it is, for the message: `views folder`.

    Raises:
        StorageError: the disk is full or fails, whichever class the error had that said so.
    """
    try:
        yield
    except Exception as error:
        cause = None if isinstance(error, CoconError) else cause_of_storage(error)
        if cause is None:
            raise
        raise _refusal(f"{what} '{os.fspath(path)}'".lstrip(), cause) from error


def refused(error: OSError, named: str) -> CoconError:
    """What is to be raised where the system refuses to write.

    Args:
        error: what it says.
        named: what was to be written, such as `index 'videos.index'`.

    Returns:
        A `StorageError` if it is the disk's fault, else a `UsageError`.
    """
    cause = cause_of_storage(error)
    if cause is None:
        return UsageError(f"{named} cannot be written: {error.strerror or error}")
    return _refusal(named, cause)


def cause_of_storage(error: BaseException | None) -> int | None:
    """The system's number for what a disk did wrong; None if an error is about something else.

    Libraries that write by themselves wrap the system's error, or keep nothing of it but the text.
    """
    while error is not None:
        if isinstance(error, OSError):
            cause = error.errno
        else:
            cause = next((cause for cause in _REMEDIES if os.strerror(cause) in str(error)), None)
        if cause in _REMEDIES:
            return cause
        error = error.__cause__ or error.__context__
    return None


def _refusal(named: str, cause: int) -> StorageError:
    return StorageError(f"{named} cannot be written: {os.strerror(cause)}; {_REMEDIES[cause]}")
