"""Identity of a video: its content, whatever the file is called and wherever it lies."""

import hashlib
from pathlib import Path

__all__ = ["content_sha256"]


def content_sha256(path: Path) -> str:
    """sha256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        OSError: it is not there or cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
