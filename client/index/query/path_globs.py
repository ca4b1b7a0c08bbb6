"""Globs over the paths of an index: `*` and `?` stay within a folder's name, `**` goes through folders.

A glob without any of `*?[` means a video or a folder of videos; so does one that is the name of such. Names that differ
in how Unicode composes their letters (NFC, NFD) are the same name.
"""

import glob
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from cocon.core.errors import UsageError
from cocon.core.printable import escaped, printable, unescaped

__all__ = ["PathGlob"]


@dataclass(frozen=True, slots=True)
class PathGlob:
    """A glob. Made by `parse`.

    Attributes:
        prefix: What paths begin with, in their written form; ends with a separator.
        pattern: For the whole path.
    """

    prefix: str
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> "PathGlob":
        """A glob as it is written, absolute or from the working directory on.

        Raises:
            UsageError: It is empty.
        """
        if not text.strip():
            raise UsageError(f"path glob '{printable(text)}' is empty; '.' is the working directory, '**' all below it")
        path = os.path.abspath(text)  # noqa: PTH100  # Path.resolve follows links
        parts = path.strip(os.sep).split(os.sep)  # noqa: PTH206  # Path("//a") has another root
        fixed = next(
            (place for place, part in enumerate(parts) if glob.has_magic(part) or "\\" in part), len(parts) - 1
        )
        # What is there by the whole name is meant too, whatever the name holds, and however it is printed.
        readings = [re.escape(_composed(name.rstrip(os.sep))) + "(?:/.+)?" for name in {path, unescaped(path)}]
        if glob.has_magic(path):
            readings.append("".join(_expressions([_composed(part) for part in parts])))
        return cls(_prefix(parts[:fixed]), re.compile("|".join(readings), re.DOTALL))

    def matches(self, path: str) -> bool:
        """Whether a path is meant, in its written form."""
        return self.pattern.fullmatch(_composed(unescaped(path) if "\\" in path else path)) is not None

    def sql(self) -> tuple[str, list[object]]:
        """What the paths meant have in common, and others may too; and its parameters."""
        return "path >= ? AND path < ?", [self.prefix, self.prefix[:-1] + chr(ord(os.sep) + 1)]


def _prefix(parts: list[str]) -> str:
    """Of the written form. Letters may be composed otherwise in the catalogue, so those beyond ASCII end it."""
    plain = next((place for place, part in enumerate(parts) if not part.isascii()), len(parts))
    return escaped("".join(f"{os.sep}{part}" for part in parts[:plain])) + os.sep


def _expressions(parts: list[str]) -> Iterator[str]:
    """Regular expressions of the parts of a path, which make one together."""
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        if part == "**":
            yield "/.+" if is_last else "(?:/[^/]+)*"
        else:
            yield "/" + "".join(_of_part(part))


def _of_part(part: str) -> Iterator[str]:
    place = 0
    while place < len(part):
        letter = part[place]
        place += 1
        end = part.find("]", place + (2 if part[place : place + 1] == "!" else 1)) if letter == "[" else -1
        if end >= 0:
            negated, members = part[place] == "!", part[place:end].removeprefix("!")
            yield f"(?!/)[{'^' if negated else ''}{_members(members)}]"
            place = end + 1
        else:
            yield {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))


def _members(members: str) -> str:
    """Letters and ranges between brackets; a range that goes backwards holds nothing."""
    ranges = re.sub(r"(.)-(.)", lambda found: found[0] if found[1] <= found[2] else "", members, flags=re.DOTALL)
    return re.sub(r"([\\\]\[^&~|])", r"\\\1", ranges) or r"^\s\S"


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
