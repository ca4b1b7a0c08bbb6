"""Which videos a command works on: files, folders, globs, `@list.txt` and `-` (a list on standard input)."""

import glob
import itertools
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from cocon.client.fetching.urls import NOT_ASKED_FOR, shown_url
from cocon.core.errors import UsageError
from cocon.core.paths import check_file, is_url, why_no_file
from cocon.core.printable import printable
from cocon.core.texts.text_files import decode_names, named_path, read_names, text_lines
from cocon.video.store.found_videos import VIDEO_SUFFIXES, find_videos, warn_of_left_out

__all__ = ["expand_inputs", "lists_named", "named_folders"]

_logger = logging.getLogger(__name__)


def expand_inputs(
    arguments: Sequence[str], stdin: BinaryIO, *, is_name: Callable[[str], bool] = lambda argument: False
) -> list[Path]:
    """Turn command line arguments into video files; the order of the arguments is kept, a folder is sorted.

    Args:
        arguments: A file, a folder (searched recursively for known video endings), a glob (`**` allowed), `@FILE` (one
            path per line, relative to the working directory, as `named_path` reads it; `#` begins a comment) or `-`
            (the same on standard input).
        stdin: Read for `-`.
        is_name: Whether an argument that nothing is called by stands for itself, such as `id:12`.

    Returns:
        Every file once. What a list names is not checked for existence: a list is data, and its bad lines are failed
        inputs, not a wrong command.

    Raises:
        UsageError: An argument names nothing, or a list is no text; all such arguments are told at once.
    """
    videos: dict[Path, None] = {}
    problems = []
    for argument in arguments:
        try:
            videos.update(dict.fromkeys(_expand(argument, stdin, is_name)))
        except UsageError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"'{printable(argument)}' cannot be reached: {error.strerror}")
    if not videos and not problems:
        problems.append("no videos given")
    if problems:
        raise UsageError("; ".join(problems))
    return list(videos)


def named_folders(arguments: Sequence[str]) -> list[Path]:
    """The folders that arguments name, or that a glob begins with; and those that several named ones lie in."""
    folders = []
    for argument in arguments:
        path = Path(argument)
        if (meant := named_path(argument)).is_dir():
            folders.append(meant)
        elif glob.has_magic(argument) and not path.exists():
            folders.append(Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)))
    siblings = Counter(folder.absolute().parent for folder in dict.fromkeys(folders))
    return folders + [parent for parent, count in siblings.items() if count > 1]  # `videos/*`, as a shell expands it


def lists_named(arguments: Sequence[str]) -> list[Path]:
    """The lists among command line arguments."""
    return [Path(argument[1:]) for argument in arguments if argument.startswith("@")]


def _expand(argument: str, stdin: BinaryIO, is_name: Callable[[str], bool]) -> Iterator[Path]:
    if not argument.strip() and not os.path.lexists(argument):
        raise UsageError(f"'{argument}' is empty; name a file or folder, such as '.'")
    path = Path(argument)
    if argument == "-":
        yield from _listed(text_lines(decode_names(stdin.read(), "the list on standard input")), "on standard input")
    elif path.is_file():
        yield path
    elif path.is_dir():
        yield from _in_folder(path)
    elif (meant := named_path(argument)) != path and meant.exists():
        yield from _expand(str(meant), stdin, is_name)
    elif is_name(argument):
        yield path
    elif argument.startswith("@"):
        yield from _in_list(Path(argument[1:]))
    elif is_url(argument):
        raise UsageError(f"'{shown_url(argument)}' {NOT_ASKED_FOR}")
    elif glob.has_magic(argument):
        yield from _matching(argument)
    else:
        raise UsageError(f"'{printable(argument)}' {why_no_file(argument)}")


def _in_folder(folder: Path) -> Iterator[Path]:
    found = find_videos(folder)
    if not found.videos:
        raise UsageError("; ".join([f"folder '{printable(folder)}' holds no video", *map(str, found.left_out)]))
    warn_of_left_out(folder, found.left_out)
    yield from found.videos


def _matching(pattern: str) -> Iterator[Path]:
    """Also links that lead nowhere and the like: what is wrong with one is told of it alone, as of a line in a list."""
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if not Path(name).is_dir()]  # noqa: PTH207  # pathlib globs no absolute pattern
    if not found:
        raise UsageError(f"'{printable(pattern)}' matches no file")
    yield from found


def _in_list(path: Path) -> Iterator[Path]:
    check_file(path, "list")
    listed = list(_listed(read_names(path, "list"), f"'{printable(path)}'"))
    if not listed:
        raise UsageError(f"list '{printable(path)}' names no video")
    yield from listed


def _listed(lines: Sequence[str], source: str) -> Iterator[Path]:
    undecodable = []
    for number, line in enumerate(lines, start=1):
        path = named_path(line)
        exists = os.path.exists(path)  # noqa: PTH110  # False too for a name that is too long
        if not line.strip() or (_is_comment(line.strip()) and not exists):
            continue
        if not exists and not line.isascii() and any("\udc80" <= letter <= "\udcff" for letter in line):
            undecodable.append(number)
        yield path
    if undecodable:
        _logger.warning(
            "list %s line %d is not UTF-8 and names no file as it stands (%d such); if it is Latin-1, save it as UTF-8",
            source,
            undecodable[0],
            len(undecodable),
        )


def _is_comment(line: str) -> bool:
    """Whether a line that names no file is none: `#1.mp4` is a video that is gone."""
    return line.startswith("#") and (line[1:2] in ("", " ") or Path(line).suffix.lower() not in VIDEO_SUFFIXES)
