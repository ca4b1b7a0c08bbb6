"""URLs of videos: which are fetched when that is asked for, and what is said of them when it is not."""

import re
from pathlib import PurePath
from urllib.parse import unquote

from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = [
    "NOT_ASKED_FOR",
    "check_remote",
    "has_credentials",
    "is_remote",
    "remote_name",
    "shown_url",
    "without_secrets",
]

NOT_ASKED_FOR = "is a URL; download it, or have 'client index add' and 'client embed' fetch it with --remote"
"""The end of a sentence about a URL that nobody asked to fetch."""

_SCHEMES = ("https", "http", "s3", "gs", "memory")
_REMOTE = re.compile(rf"({'|'.join(_SCHEMES)})://[^/]", re.IGNORECASE)
# As a path, which has no double slashes.
_TIDIED = re.compile(rf"({'|'.join(_SCHEMES)}):/(?=[^/])", re.IGNORECASE)
_CREDENTIALS = re.compile(r"[a-z0-9]+://[^/]*@", re.IGNORECASE)
# Of a query, as stores sign addresses and services take tokens.
_SECRET_NAMES = re.compile(
    r"x-(amz|goog)-(signature|credential|security-token)|awsaccesskeyid|googleaccessid|key-pair-id|signature|sig|"
    r".*token|.*api[-_]?key|pass|passwd|password|.*secret|auth|authorization|jwt",
    re.IGNORECASE,
)
# In what libraries say, also of where they were sent on to.
_QUERY = re.compile(r"(?<=\?)[^\s'\"<>]+(?=[\s'\"<>]|$)")


def is_remote(name: str) -> bool:
    """Whether a name is a URL that can be fetched."""
    return _REMOTE.match(name) is not None


def remote_name(path: PurePath) -> str | None:
    """The URL that a path was made of, if it was; None for the path of a file."""
    text = str(path)
    restored = _TIDIED.sub(lambda scheme: f"{scheme[0]}/", text, count=1) if _TIDIED.match(text) else text
    return restored if is_remote(restored) else None


def check_remote(url: str) -> None:
    """Refuse a URL that holds a password, a token or a signature, which an index would keep.

    Raises:
        UsageError: It does.
    """
    if has_credentials(url):
        shown = shown_url(url)
        raise UsageError(f"the URL of '{shown}' holds credentials, which an index would keep; give them to the driver")


def has_credentials(url: str) -> bool:
    """Whether a URL holds a password, a token or a signature."""
    names = (part.partition("=")[0] for part in re.split("[?&;]", url)[1:])
    return _CREDENTIALS.match(url) is not None or any(map(_SECRET_NAMES.fullmatch, map(unquote, names)))


def shown_url(url: str) -> str:
    """A URL as it can be printed: all of it, unless it holds credentials."""
    return without_secrets(url) if has_credentials(url) else printable(url)


def without_secrets(text: str) -> str:
    """A URL, or what a library says, as it can be printed, without scheme's passwords and queries."""
    return printable(_QUERY.sub("…", _CREDENTIALS.sub("", text)))
