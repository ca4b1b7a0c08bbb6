"""What is on the disk where an index has, or shall have, a video: read as seldom as can be."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cocon.client.fetching.urls import is_remote
from cocon.client.index.catalogue.file_stamp import FileStamp, ReadContent, read_content
from cocon.client.index.changes.contents import Contents
from cocon.core.texts.normal_forms import existing_form

__all__ = ["Elsewhere", "Observation", "SeenFile", "absolute"]


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file to add.

    Attributes:
        path: That opens it, or its URL.
        place: Its name in the index.
        content: Read, or known without.
    """

    path: str
    place: str
    content: ReadContent


class Elsewhere(Protocol):
    """Where files are that are named by URLs."""

    def stamp(self, url: str) -> FileStamp | None:
        """What stands for the content that a file has now; None if nothing does.

        Raises:
            VideoError: It cannot be reached.
        """
        ...

    def content(self, url: str) -> ReadContent:
        """Read a file whole; raises likewise."""
        ...


class Observation:
    """What one run has seen of the disk.

    Args:
        contents: Of the index.
        elsewhere: Where URLs are looked up; None if they are not.
    """

    def __init__(self, contents: Contents, elsewhere: Elsewhere | None = None) -> None:
        self._contents = contents
        self._elsewhere = elsewhere
        self._seen: dict[str, ReadContent] = {}

    def of(self, path: str) -> SeenFile:
        """Look at a file; one that is as it was when its content was read is not read again.

        Raises:
            OSError: It cannot be read.
            VideoError: It is a URL that cannot be fetched.
        """
        place = absolute(path)
        return SeenFile(path, place, self._content(place))

    def elsewhere(self, place: str, sha256: str) -> ReadContent | Literal["the same", "nothing"]:
        """What is at another place of a content.

        Returns:
            Another content; or `the same` if it is this one, or nobody can tell.
        """
        if is_remote(place):
            return "the same"
        try:
            if not stat.S_ISREG(Path(place).stat().st_mode):
                return "nothing"
            content = self._content(place)
        except (FileNotFoundError, NotADirectoryError):
            return "nothing"
        except OSError:
            return "the same"
        return "the same" if content.sha256 == sha256 else content

    def is_fetched(self, path: str) -> bool:
        """Whether a name is a URL, and such are looked up."""
        return self._elsewhere is not None and is_remote(path)

    def _content(self, place: str) -> ReadContent:
        if self._elsewhere is not None and is_remote(place):
            return self._fetched(place, self._elsewhere)
        stamp = FileStamp.of(place)
        seen = self._seen.get(place)
        if seen is None or seen.stamp != stamp:
            held = self._contents.at(place)
            seen = (
                ReadContent(held.content_sha256, stamp, True) if held and held.stamp == stamp else read_content(place)
            )
            self._seen[place] = seen
        return seen

    def _fetched(self, url: str, elsewhere: Elsewhere) -> ReadContent:
        if url not in self._seen:
            held, stamp = self._contents.at(url), elsewhere.stamp(url)
            is_known = held is not None and stamp is not None and held.stamp == stamp
            self._seen[url] = (
                ReadContent(held.content_sha256, stamp, True)
                if is_known and held is not None and stamp is not None
                else elsewhere.content(url)
            )
        return self._seen[url]


def absolute(path: str | os.PathLike[str]) -> str:
    """A video's name in an index. Links are kept: the name the user has for it is its name there, as is a URL.

    A name in another normal form of Unicode than the file's is taken for the file's, where no file has that very name.
    """
    if is_remote(os.fspath(path)):
        return os.fspath(path)
    return existing_form(os.path.abspath(path))  # noqa: PTH100  # Path.resolve follows links
