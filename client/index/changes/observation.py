"""What is on the disk where an index has, or shall have, a video: read as seldom as can be."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cocon.client.index.catalogue.file_stamp import FileStamp, ReadContent, read_content
from cocon.client.index.changes.contents import Contents
from cocon.core.texts.normal_forms import existing_form

__all__ = ["Observation", "SeenFile", "absolute"]


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file to add.

    Attributes:
        path: That opens it.
        place: Its name in the index.
        content: Read, or known without.
    """

    path: str
    place: str
    content: ReadContent


class Observation:
    """What one run has seen of the disk.

    Args:
        contents: Of the index.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._seen: dict[str, ReadContent] = {}

    def of(self, path: str) -> SeenFile:
        """Look at a file; one that is as it was when its content was read is not read again.

        Raises:
            OSError: It cannot be read.
        """
        place = absolute(path)
        return SeenFile(path, place, self._content(place))

    def elsewhere(self, place: str, sha256: str) -> ReadContent | Literal["the same", "nothing"]:
        """What is at another place of a content.

        Returns:
            Another content; or `the same` if it is this one, or nobody can tell.
        """
        try:
            if not stat.S_ISREG(Path(place).stat().st_mode):
                return "nothing"
            content = self._content(place)
        except (FileNotFoundError, NotADirectoryError):
            return "nothing"
        except OSError:
            return "the same"
        return "the same" if content.sha256 == sha256 else content

    def _content(self, place: str) -> ReadContent:
        stamp = FileStamp.of(place)
        seen = self._seen.get(place)
        if seen is None or seen.stamp != stamp:
            held = self._contents.at(place)
            seen = (
                ReadContent(held.content_sha256, stamp, True) if held and held.stamp == stamp else read_content(place)
            )
            self._seen[place] = seen
        return seen


def absolute(path: str | os.PathLike[str]) -> str:
    """A video's name in an index. Links are kept: the name the user has for it is its name there.

    A name in another normal form of Unicode than the file's is taken for the file's, where no file has that very name.
    """
    return existing_form(os.path.abspath(path))  # noqa: PTH100  # Path.resolve follows links
