"""Texts that people bring: lists, labels, configurations, tables. The one place that knows their encodings.

UTF-8 is read with or without a byte-order mark, UTF-16 and UTF-32 with one. Everything else is refused by one line that
names the file, the line, and what is wrong there. Lists of file names may hold bytes that are no text, as names may.
"""

import codecs
import io
import os
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import printable, unescaped
from cocon.core.texts.normal_forms import existing_form

__all__ = ["decode_names", "decode_text", "named_path", "read_lines", "read_names", "read_text", "text_lines"]

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_REMEDY = "save it as UTF-8"
# Of the bytes at odd, or even, places of a text in UTF-16 so many are zero where most letters are Latin.
_LATIN_SHARE = 0.5


def read_text(path: Path, what: str = "") -> str:
    r"""A text whole, each line ended by `\n`.

    Args:
        path: the file.
        what: it is, for messages: `list`, `labels`.

    Raises:
        OSError: it is not there or cannot be read.
        UsageError: it is no text, or in another encoding; names file, line and remedy.
    """
    return _with_newlines(decode_text(path.read_bytes(), _source(path, what)))


def read_lines(path: Path, what: str = "") -> list[str]:
    """The lines of a text without their ends; raises like `read_text`."""
    return text_lines(decode_text(path.read_bytes(), _source(path, what)))


def read_names(path: Path, what: str = "") -> list[str]:
    """The lines of a list of file names, for `named_path`; what is no text is kept as the bytes of a name.

    Raises:
        OSError: it is not there or cannot be read.
        UsageError: it is no list of names.
    """
    return text_lines(decode_names(path.read_bytes(), _source(path, what)))


def text_lines(text: str) -> list[str]:
    r"""Lines without their ends: `\n`, `\r\n`, or `\r` in a text that has no `\n`. Names may hold all others."""
    lines = [line.removesuffix("\r") for line in text.split("\n")] if "\n" in text else text.split("\r")
    return lines if lines[-1] else lines[:-1]


def decode_text(content: bytes, source: str) -> str:
    """A text of its bytes, without a byte-order mark.

    Args:
        content: of the file.
        source: what it is called in messages, in quotes.

    Raises:
        UsageError: as `read_text` says.
    """
    content, encoding = _unmarked(content, source)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "UTF-8":
            raise UsageError(f"{source} is damaged: it is not the {encoding} that its first bytes say") from error
        line, wrong = content[: error.start].count(b"\n") + 1, content[error.start]
        raise UsageError(f"{source} line {line} is not UTF-8 (byte 0x{wrong:02x}); {_REMEDY}") from error


def decode_names(content: bytes, source: str) -> str:
    """A list of file names of its bytes, those that are no text as lone surrogates; raises like `read_names`."""
    content, encoding = _unmarked(content, source)
    return content.decode(errors="surrogateescape") if encoding == "UTF-8" else decode_text(content, source)


def named_path(text: str, folder: Path | None = None) -> Path:
    """The path that a list or table means by a name.

    A name means what exists: as it stands, or else without blanks around it, without quotes around it, with `~` as the
    home folder, with its escapes (`printable.escaped`) as bytes, or in the other normal form of Unicode. What does not
    exist is the name without blanks.

    Args:
        text: as it is written; bytes that are no text as lone surrogates.
        folder: that it lies in, unless it is absolute; default: the working directory.
    """
    stripped = text.strip()
    readings = [text, stripped]
    if len(stripped) > 2 and stripped[0] == stripped[-1] and stripped[0] in "'\"":
        readings.append(stripped[1:-1])
    if stripped.startswith("~"):
        readings.append(os.path.expanduser(stripped))  # noqa: PTH111  # Path.expanduser fails for users it does not know
    readings = [*map(_for_the_system, readings), unescaped(stripped)]
    for reading in readings:
        if reading and os.path.exists(os.path.join(folder or "", reading)):  # noqa: PTH110, PTH118  # False for any text
            return Path(reading)
    for reading in filter(None, readings):
        named = os.path.join(folder or "", reading)  # noqa: PTH118
        if os.path.exists(found := existing_form(named)):  # noqa: PTH110
            return Path(found) if folder is None or os.path.isabs(reading) else Path(found).relative_to(folder)  # noqa: PTH117
    return Path(_for_the_system(stripped))


def _source(path: Path, what: str) -> str:
    return f"{what} '{printable(path)}'".lstrip()


def _unmarked(content: bytes, source: str) -> tuple[bytes, str]:
    """The bytes and their encoding; those of UTF-8 without mark, those of others with it."""
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "")
    if encoding in ("UTF-16", "UTF-32"):
        return content, encoding
    content = content.removeprefix(codecs.BOM_UTF8)
    if (place := content.find(b"\0")) >= 0:
        if not encoding and _is_bare_utf16(content):
            raise UsageError(f"{source} is UTF-16 without a byte-order mark; {_REMEDY}")
        line = content[:place].count(b"\n") + 1
        raise UsageError(f"{source} line {line} has a zero byte: it is no text, or of another encoding; {_REMEDY}")
    return content, "UTF-8"


def _is_bare_utf16(content: bytes) -> bool:
    half = len(content) / 2
    return any(content[first::2].count(0) >= _LATIN_SHARE * half for first in (0, 1))


def _with_newlines(text: str) -> str:
    return io.StringIO(text, newline=None).read()


def _for_the_system(text: str) -> str:
    """As paths are that the system gives, whatever its locale says of their encoding."""
    return os.fsdecode(text.encode(errors="surrogateescape"))
