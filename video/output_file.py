"""A file that a user names to be written: refused before any work is done, and there whole or not at all.

No input is ever written over, by whatever name it is called, and no video that this project has not drawn.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cocon.core.atomic import is_stream, place_of, replacing
from cocon.core.errors import UsageError
from cocon.core.storage import refused
from cocon.video.pictures.encode import is_film_of_ours
from cocon.video.store.found_videos import VIDEO_SUFFIXES

__all__ = ["check_different", "check_no_input", "check_output", "output_file"]


def check_output(
    output: Path, inputs: Iterable[Path] = (), *, suffixes: Sequence[str] = (), option: str = "--output"
) -> None:
    """Refuse an output before any work is done.

    Args:
        output: The file; or a device, a FIFO or an open descriptor, which is written to.
        inputs: What it is made of.
        suffixes: The endings it may have; none for any. What is no file has none.
        option: What the user gave it by.

    Raises:
        UsageError: Its ending names no format, it is a folder, an input or a video of the user's, or it cannot be
            written there.
    """
    is_written_through = is_stream(output)
    if suffixes and not is_written_through and output.suffix.lower() not in suffixes:
        raise UsageError(f"{option} '{output}' must end in {' or '.join(suffixes)}")
    if output.is_dir():
        raise UsageError(f"{option} '{output}' is a folder; name a file")
    check_no_input(output, inputs, option=option)
    if is_written_through:
        if not os.access(output, os.W_OK):
            raise UsageError(f"{option} '{output}' cannot be written; name another file")
        return
    folder = next(folder for folder in place_of(output).absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{option} '{output}' cannot be written into '{folder}'; name another folder")


def check_no_input(output: Path, inputs: Iterable[Path], *, option: str) -> None:
    """Refuse an output that is one of the inputs, a video of the user's, or what no bytes are for; see `check_output`.

    Raises:
        UsageError: It is.
    """
    try:
        found = output.stat()
    except (FileNotFoundError, NotADirectoryError):  # the latter is said of its folder
        return
    except OSError as error:  # such as links in a circle
        raise UsageError(f"{option} '{output}' cannot be written: {error.strerror}; name another file") from error
    if stat.S_ISBLK(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        raise UsageError(f"{option} '{output}' is no file, FIFO or terminal; name a file")
    for path in inputs:
        with suppress(OSError):  # an input that is not there is not this file
            if stat.S_ISREG(found.st_mode) and os.path.samestat(found, path.stat()):
                what = "video" if _is_called_video(path) else "input"
                raise UsageError(f"{option} '{output}' is the {what} itself; name another file")
    is_called_video = _is_called_video(output) or _is_called_video(place_of(output))
    if is_called_video and stat.S_ISREG(found.st_mode) and found.st_size and not is_film_of_ours(output):
        raise UsageError(f"{option} '{output}' is a video that was not drawn here; name another file")


def check_different(**outputs: Path | None) -> None:
    """Refuse two outputs that are one file.

    Args:
        outputs: option without dashes → the file; None where there is none.

    Raises:
        UsageError: One would write over the other.
    """
    options: dict[str, str] = {}
    for option, path in outputs.items():
        if path is None or is_stream(path):
            continue
        first = options.setdefault(os.path.realpath(path), option)
        if first != option:
            raise UsageError(f"--{first} and --{option} are the same file '{path}'; name two")


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
        StorageError: The disk takes no more.
    """
    try:
        with replacing(output) as partial:
            yield partial
    except OSError as error:
        raise refused(error, f"{option} '{output}'") from error


def _is_called_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES
