"""URLs of videos: which are fetched when that is asked for, and what is said of them when it is not."""

import re
from pathlib import PurePath

from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["NOT_ASKED_FOR", "check_remote", "is_remote", "remote_name"]

NOT_ASKED_FOR = "is a URL; download it, or have 'client index add' and 'client embed' fetch it with --remote"
"""The end of a sentence about a URL that nobody asked to fetch."""

_SCHEMES = ("https", "http", "s3", "gs", "memory")
_REMOTE = re.compile(rf"({'|'.join(_SCHEMES)})://[^/]", re.IGNORECASE)
# As a path, which has no double slashes.
_TIDIED = re.compile(rf"({'|'.join(_SCHEMES)}):/(?=[^/])", re.IGNORECASE)
_CREDENTIALS = re.compile(r"[a-z0-9]+://[^/]*@", re.IGNORECASE)


def is_remote(name: str) -> bool:
    """Whether a name is a URL that can be fetched."""
    return _REMOTE.match(name) is not None


def remote_name(path: PurePath) -> str | None:
    """The URL that a path was made of, if it was; None for the path of a file."""
    text = str(path)
    restored = _TIDIED.sub(lambda scheme: f"{scheme[0]}/", text, count=1) if _TIDIED.match(text) else text
    return restored if is_remote(restored) else None


def check_remote(url: str) -> None:
    """Refuse a URL that holds a password, which an index would keep.

    Raises:
        UsageError: It does.
    """
    if _CREDENTIALS.match(url):
        shown = printable(url.rpartition("@")[2])
        raise UsageError(f"the URL of '{shown}' holds credentials, which an index would keep; give them to the driver")
