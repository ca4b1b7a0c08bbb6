"""A picture or film that a user names: refused before any work is done, and there whole or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cocon.core.atomic import replacing
from cocon.core.errors import UsageError

__all__ = ["check_output", "output_file"]


def check_output(output: Path, *videos: Path, suffixes: Sequence[str], option: str = "--output") -> None:
    """Refuse an output before any work is done.

    Args:
        output: The file.
        videos: What it is made of.
        suffixes: The endings it may have.
        option: What the user gave it by.

    Raises:
        UsageError: Its ending names no format, it is a folder or one of the videos, or it cannot be written there.
    """
    if output.suffix.lower() not in suffixes:
        raise UsageError(f"{option} '{output}' must end in {' or '.join(suffixes)}")
    if output.is_dir():
        raise UsageError(f"{option} '{output}' is a folder; name a file")
    if output.exists() and any(video.exists() and output.samefile(video) for video in videos):
        raise UsageError(f"{option} '{output}' is the video itself; name another file")
    folder = next(folder for folder in output.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{option} '{output}' cannot be written into '{folder}'; name another folder")


@contextmanager
def output_file(output: Path, *, option: str = "--output") -> Iterator[Path]:
    """Where to write a file that is to replace `output` when it is whole.

    Args:
        output: The file.
        option: What the user gave it by.

    Yields:
        The path beside it.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        with replacing(output) as partial:
            yield partial
    except OSError as error:
        raise UsageError(f"{option} '{output}' cannot be written: {error.strerror or error}") from error
