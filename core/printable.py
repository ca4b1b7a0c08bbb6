r"""Text for people, and names of files as text.

A file name is bytes, which need not be text. Its written form, in rows, tables, indexes and messages alike, is its text
as UTF-8 where each byte that is none stands as `\xNN`, NN in lower-case hexadecimal: `caf\xe9.mp4`. A name that holds
such four characters itself is written with `\x5c` in place of their backslash, so `unescaped` gives every name back;
all other names are written as they are. What is printed shows also those characters as their bytes that a terminal
would obey: a name with a line break is `a\x0ab.mp4`.
"""

import codecs
import os
import re
from os import PathLike
from pathlib import Path

__all__ = ["ESCAPING", "OBEYED", "clock", "escaped", "in_one_line", "is_utf8", "printable", "short_path", "unescaped"]

_MINUTES_FROM_S = 120.0
_ESCAPE = re.compile(rb"\\x(?!00)([0-9a-f]{2})")  # no name holds a zero byte
# No bytes of a name are behind them.
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_QUOTED = re.compile("'[^']*'")  # as messages name files, whose line breaks are their own
_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")

# Joiners are none of them: scripts and emoji need them.
OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Control characters, and those without width that turn or hide what follows."""

ESCAPING = "cocon.escaping"
"""Name of the error handler for streams whose encoding lacks characters: they are written as their bytes in UTF-8."""


def clock(seconds: float) -> str:
    """A moment as people write it: `1.5 s`, from two minutes on `2:30`."""
    if seconds < _MINUTES_FROM_S:
        return f"{round(seconds, 1):g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def in_one_line(error: object) -> str:
    """What an error says, without its line breaks and as it can be printed; its class where it says nothing."""
    text = _QUOTED.sub(lambda name: printable(name[0]), str(error))
    return printable(_LINE_BREAK.sub(" ", text).strip()) or type(error).__name__


def escaped(name: str | PathLike[str]) -> str:
    """The written form of a path or of a part of it: Unicode that every UTF-8 stream takes."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:  # text that the system's encoding lacks
        encoded = _encoded(os.fspath(name))
    return _ESCAPE.sub(rb"\\x5cx\1", encoded).decode(errors="backslashreplace")


def unescaped(text: str) -> str:
    """The path, for the system, that `escaped` wrote, or that was printed; a name that has no escapes is itself."""
    return os.fsdecode(_ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), _encoded(text)))


def is_utf8(path: str | PathLike[str]) -> bool:
    """Whether the bytes of a path are UTF-8, which some libraries need."""
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        return False
    return True


def printable(text: object) -> str:
    r"""As text that can be printed: what is no text, and what a terminal would obey, is written as bytes `\xNN`."""
    decoded = _encoded(str(text)).decode(errors="backslashreplace")
    return OBEYED.sub(lambda character: _bytes_of(character[0]), decoded)


def short_path(path: str) -> str:
    """The written form of a path below the working directory, without that."""
    return path.removeprefix(f"{escaped(Path.cwd())}{os.sep}")


def _encoded(text: str) -> bytes:
    """UTF-8, and the bytes of a name that are none."""
    return _LONE_SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text).encode(errors="surrogateescape")


def _bytes_of(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in _encoded(text))


def _escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _bytes_of(error.object[error.start : error.end]), error.end


codecs.register_error(ESCAPING, _escape_unencodable)
