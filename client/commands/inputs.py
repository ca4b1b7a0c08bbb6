"""Which videos a command works on: files, folders, globs, `@list.txt` and `-` (a list on standard input)."""

import glob
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from cocon.core.errors import UsageError
from cocon.core.paths import check_file, is_url, why_no_file
from cocon.video.store.found_videos import find_videos, warn_of_left_out

__all__ = ["expand_inputs", "named_folders"]


def expand_inputs(arguments: Sequence[str], stdin: TextIO) -> list[Path]:
    """Turn command line arguments into video files; the order of the arguments is kept, a folder is sorted.

    Args:
        arguments: A file, a folder (searched recursively for known video endings), a glob (`**` allowed), `@FILE` (one
            path per line, relative to the working directory) or `-` (the same on standard input).
        stdin: Read for `-`.

    Returns:
        Every file once. What a list names is not checked for existence: a list is data, and its bad lines are failed
        inputs, not a wrong command.

    Raises:
        UsageError: An argument names nothing; all such arguments are told at once.
    """
    videos: dict[Path, None] = {}
    problems = []
    for argument in arguments:
        try:
            videos.update(dict.fromkeys(_expand(argument, stdin)))
        except UsageError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"'{argument}' cannot be reached: {error.strerror}")
    if not videos and not problems:
        problems.append("no videos given")
    if problems:
        raise UsageError("; ".join(problems))
    return list(videos)


def named_folders(arguments: Sequence[str]) -> list[Path]:
    """The folders that arguments name, or that a glob begins with."""
    folders = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            folders.append(path)
        elif glob.has_magic(argument) and not path.exists():
            folders.append(Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)))
    return folders


def _expand(argument: str, stdin: TextIO) -> Iterator[Path]:
    path = Path(argument)
    if argument == "-":
        yield from _listed(stdin)
    elif path.is_file():
        yield path
    elif path.is_dir():
        yield from _in_folder(path)
    elif argument.startswith("@"):
        yield from _in_list(Path(argument[1:]))
    elif glob.has_magic(argument) and not is_url(argument):
        yield from _matching(argument)
    else:
        raise UsageError(f"'{argument}' {why_no_file(argument)}")


def _in_folder(folder: Path) -> Iterator[Path]:
    found = find_videos(folder)
    if not found.videos:
        raise UsageError("; ".join([f"folder '{folder}' holds no video", *map(str, found.left_out)]))
    warn_of_left_out(folder, found.left_out)
    yield from found.videos


def _matching(pattern: str) -> Iterator[Path]:
    """Also links that lead nowhere and the like: what is wrong with one is told of it alone, as of a line in a list."""
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if not Path(name).is_dir()]  # noqa: PTH207  # pathlib globs no absolute pattern
    if not found:
        raise UsageError(f"'{pattern}' matches no file")
    yield from found


def _in_list(path: Path) -> Iterator[Path]:
    check_file(path, "list")
    with path.open(encoding="utf-8") as lines:
        yield from _listed(lines)


def _listed(lines: TextIO) -> Iterator[Path]:
    return (Path(line.strip()) for line in lines if line.strip())
