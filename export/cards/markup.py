"""Text of others, such as labels and names of folders, in the Markdown of a card: shown as it is, never obeyed."""

import re

from cocon.core.printable import printable

__all__ = ["cell", "code", "plain"]

# Of no width or of another direction: terminals obey some of them, and readers see none.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
# An underscore within a word means nothing in Markdown.
_MARKS = re.compile(r"[\\`*\[\]~$&<>|]|(?<![^\W_])_|_(?![^\W_])")


def plain(text: object) -> str:
    """Text in one line without any meaning in Markdown or HTML, in a table or out of it."""
    return _MARKS.sub(lambda mark: _ENTITIES.get(mark[0], f"\\{mark[0]}"), _in_one_line(text))


def code(text: object) -> str:
    """Text as a code span; in a table, `cell` must follow."""
    line = _in_one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    edge = " " if not line or "`" in (line[0], line[-1]) else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def cell(markdown: object) -> str:
    """Markdown that stays in one cell of a table."""
    return " ".join(str(markdown).split()).replace("|", "\\|")


def _in_one_line(text: object) -> str:
    line = " ".join(printable(text).split())
    return _CONTROLS.sub(lambda control: control[0].encode("unicode_escape").decode(), line)
