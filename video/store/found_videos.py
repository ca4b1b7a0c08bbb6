"""The videos in a folder, at any depth, and what in it is none.

    found = find_videos(Path("videos"))
    found.videos                                # sorted
    print(*found.left_out, sep="; ")            # 2 files left out (not the ending of a video), such as 'a.part'

Links to folders are followed once all that lies in the folder itself is read; no folder is entered twice. What is
hidden, the multi-view store and the dataset's own lists are passed over without a word.
"""

import logging
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import real_path, special_kind
from cocon.core.printable import printable

__all__ = ["VIDEO_SUFFIXES", "FoundVideos", "LeftOut", "find_videos", "warn_of_left_out"]

_logger = logging.getLogger(__name__)

# Films, what cameras and recorders write, and bare streams: what FFmpeg reads without another file.
_ENDINGS = (
    "264 265 3g2 3gp asf avc avi divx dv f4v flv gif h264 h265 hevc ivf m1v m2p m2t m2ts m2v m4v mjpeg mjpg mk3d mkv "
    "mod mov mp4 mpe mpeg mpg mpv mts mxf nut obu ogm ogv qt rm rmvb tod trp ts vob vro webm wmv wtv y4m"
)

VIDEO_SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())

# Of the dataset itself, and of systems that put a file into every folder.
_NO_NEWS = frozenset(
    ("manifest.csv", "annotations.json", "generator.json", "failures.jsonl", "thumbs.db", "desktop.ini")
)

_STORE = "views"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What in a folder is no video, of one kind.

    Attributes:
        what: it is, a noun.
        why: it is left out.
        count: how many there are.
        example: one of them, its path in the folder.
    """

    what: str
    why: str
    count: int
    example: str

    def __str__(self) -> str:
        nouns = f"{self.what}s" if self.count > 1 else self.what
        return f"{self.count} {nouns} left out ({self.why}), such as '{printable(self.example)}'"


@dataclass(frozen=True, slots=True)
class FoundVideos:
    """What `find_videos` found.

    Attributes:
        videos: sorted.
        left_out: what else there is, by kind.
    """

    videos: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def find_videos(folder: Path) -> FoundVideos:
    """Files with the ending of a video, at any depth and behind links.

    Raises:
        UsageError: the folder itself cannot be read.
    """
    walk = _Walk(folder)
    for above in (*folder.absolute().parents, *real_path(folder).parents):
        with suppress(OSError):
            walk.known.add(_identity(above))  # a link up would bring in what lies beside this folder
    try:
        walk.enter(str(folder))
    except OSError as error:
        raise UsageError(f"folder '{folder}' cannot be read: {error.strerror}") from error
    while walk.folders or walk.links:
        walk.go_on()
    left_out = (
        LeftOut(what, why, len(paths), str(Path(min(paths)).relative_to(folder)))
        for (what, why), paths in sorted(walk.left_out.items())
    )
    return FoundVideos(tuple(sorted(walk.videos)), tuple(left_out))


def warn_of_left_out(folder: Path, left_out: Iterable[LeftOut]) -> None:
    """Say what in a folder was left out, a line for each kind."""
    for kind in left_out:
        _logger.warning("%s: %s", printable(folder), kind)


@dataclass(slots=True)
class _Walk:
    """One walk; `folders` and `links` to folders are yet to be entered, `known` are those that must not be again."""

    root: Path
    known: set[tuple[int, int]] = field(default_factory=set)
    folders: list[str] = field(default_factory=list)
    links: deque[str] = field(default_factory=deque)
    videos: list[Path] = field(default_factory=list)
    left_out: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def go_on(self) -> None:
        """Enter one more folder, or note why not."""
        is_link = not self.folders
        path = self.links.popleft() if is_link else self.folders.pop()
        try:
            if not self.enter(path):
                self._leave_out("linked folder" if is_link else "folder", "read already, or above", path)
        except OSError as error:
            self._leave_out("folder", f"cannot be read: {error.strerror}", path)

    def enter(self, path: str) -> bool:
        """Look at all that lies in a folder; False if it is known."""
        if (identity := _identity(path)) in self.known:
            return False
        with os.scandir(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        self.known.add(identity)
        for entry in found:
            is_store = entry.name == _STORE and Path(path) == self.root
            if not is_store and not entry.name.startswith("."):
                self._note(entry)
        return True

    def _note(self, entry: "os.DirEntry[str]") -> None:
        try:
            if entry.is_dir():
                (self.links if entry.is_symlink() else self.folders).append(entry.path)
            elif entry.is_file():
                self._note_file(entry)
            else:
                kind = special_kind(entry.stat().st_mode)
                self._leave_out("special file", f"it is {kind}", entry.path)
        except FileNotFoundError:
            self._leave_out("link", "leads nowhere", entry.path)
        except OSError as error:
            self._leave_out("link", f"cannot be followed: {error.strerror}", entry.path)

    def _note_file(self, entry: "os.DirEntry[str]") -> None:
        path = Path(entry.path)
        if path.suffix.lower() in VIDEO_SUFFIXES:
            self.videos.append(path)
        elif entry.name.lower() not in _NO_NEWS:
            self._leave_out("file", "not the ending of a video", entry.path)

    def _leave_out(self, what: str, why: str, path: str) -> None:
        self.left_out.setdefault((what, why), []).append(path)


def _identity(folder: str | Path) -> tuple[int, int]:
    """What tells a folder from all others, whatever it is called."""
    status = os.stat(folder)  # noqa: PTH116  # of entries, which are no paths
    return status.st_dev, status.st_ino
