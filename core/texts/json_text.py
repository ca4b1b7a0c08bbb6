"""JSON for standard output and files: one object or row, in the encoding of where it goes.

What a terminal would obey is escaped as JSON escapes control characters; who reads the JSON gets what was meant.
"""

import json
import sys
from collections.abc import Callable
from typing import Any, TextIO

from cocon.core.printable import OBEYED

__all__ = ["json_text", "print_json"]


def json_text(value: object, stream: TextIO, *, default: Callable[[Any], object] | None = None) -> str:
    """A value as JSON on one line, for a stream: in ASCII where that is not UTF-8, which other readers of JSON expect.

    Args:
        value: what JSON takes, or what `default` makes that of.
        stream: where it will be written.
        default: as in `json.dumps`.
    """
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-")
    text = json.dumps(value, default=default, ensure_ascii=encoding not in ("utf-8", "utf8", "utf-8-sig"))
    return OBEYED.sub(lambda character: f"\\u{ord(character[0]):04x}", text)


def print_json(value: object) -> None:
    """Print a value to standard output as JSON on one line."""
    sys.stdout.write(json_text(value, sys.stdout) + "\n")
