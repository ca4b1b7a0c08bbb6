"""Metadata of videos: `take>3` as a condition that it meets, and `take=3` as a value that it has.

Numbers are compared as numbers, however they are written, and texts as texts: `date>=2026-01-31` is right where dates
are written so. What a video does not have meets no condition but `!=`.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from cocon.client.index.catalogue.moments import MOMENTS_KEY
from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["Comparison", "Condition", "checked_values", "named_values", "plain_text", "value_of"]

Comparison = Literal["=", "!=", "<", "<=", ">", ">="]

_EXPRESSION = re.compile(r"(.+?)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_MAX_INTEGER = 2**63
# Of one member `m` of the metadata, as SQL. A text that is a number in JSON counts as one.
_TEXT_SQL = "CASE WHEN m.type IN ('true', 'false', 'null') THEN m.type ELSE CAST(m.value AS TEXT) END"
_NUMBER_SQL = """
CASE WHEN m.type IN ('integer', 'real') THEN m.value WHEN m.type = 'text' THEN
    CASE WHEN json_valid(m.value) THEN
        CASE WHEN json_type(m.value) IN ('integer', 'real') THEN CAST(m.value AS REAL) END
    END
END
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the metadata of a video must say.

    Attributes:
        key: Of the value.
        comparison: How it is compared.
        value: With what; a text that is written as a number is one.

    Raises:
        UsageError: There is no such comparison, or the key is empty.
    """

    key: str
    comparison: Comparison
    value: str | float

    def __post_init__(self) -> None:
        if self.comparison not in get_args(Comparison) or not self.key:
            raise UsageError(
                f"'{printable(self.key)}{printable(self.comparison)}' is no condition; write KEY=VALUE, or !=, <, <=, "
                "> or >= in place of ="
            )

    @classmethod
    def parse(cls, expression: str) -> "Condition":
        """A condition as it is written on a command line: `take>3`; blanks around its parts do not count."""
        found = _EXPRESSION.fullmatch(expression)
        if found is None or not found[1].strip():
            raise UsageError(
                f"condition '{printable(expression)}' must be KEY=VALUE, or have !=, <, <=, > or >= in place of ="
            )
        return cls(found[1].strip(), cast("Comparison", found[2]), found[3].strip())

    def sql(self) -> tuple[str, list[object]]:
        """The condition on `places.metadata`, and its parameters."""
        value = plain_text(str(self.value))
        number = _number(value)
        if self.comparison in ("=", "!="):
            compared, parameters = f"({_TEXT_SQL}) = ? OR ({_NUMBER_SQL}) = ?", [value, number]
        elif number is not None:
            compared, parameters = f"({_NUMBER_SQL}) {self.comparison} ?", [number]
        else:
            compared, parameters = f"m.type = 'text' AND m.value {self.comparison} ?", [value]
        negated = "NOT " if self.comparison == "!=" else ""
        members = "json_each(places.metadata) AS m WHERE m.type NOT IN ('array', 'object') AND m.key = ?"
        sql = f"{negated}EXISTS (SELECT 1 FROM {members} AND ({compared}))"
        return sql, [plain_text(self.key), *parameters]


def named_values(expressions: Iterable[str]) -> dict[str, str | float | None]:
    """What `KEY=VALUE`s say; of a key that is there twice, the last.

    Returns:
        Key → value; None where `KEY=` takes it away.

    Raises:
        UsageError: One is no such expression.
    """
    values: dict[str, str | float | None] = {}
    for expression in expressions:
        key, mark, value = (part.strip() for part in expression.partition("="))
        if not mark or not key or re.search("[<>!]", key):
            raise UsageError(
                f"'{printable(expression)}' must be KEY=VALUE, or KEY= to take it away; a key has no '<', '>' or '!'"
            )
        values[plain_text(key)] = value_of(value)
    return values


def checked_values(values: Mapping[str, str | float | None]) -> dict[str, str | float | None]:
    """Metadata as it can be kept.

    Raises:
        UsageError: A key is empty or reserved, or a number is not finite.
    """
    for key, value in values.items():
        if not key or key == MOMENTS_KEY or (isinstance(value, float) and not math.isfinite(value)):
            raise UsageError(
                f"'{printable(key)}={printable(value)}' cannot be kept: a key is not empty nor '{MOMENTS_KEY}', which "
                "'client index label' writes, and a number is finite"
            )
    return {plain_text(key): plain_text(value) if isinstance(value, str) else value for key, value in values.items()}


def value_of(text: str) -> str | float | None:
    """What is kept of a text: a number if it is written as one is printed, so that nothing is lost; None if empty."""
    text = plain_text(text)
    number = _number(text)
    return (text or None) if number is None or json.dumps(number) != text else number


def plain_text(text: str) -> str:
    r"""As catalogues hold it: bytes that are no text as `\xNN`, like written forms of names."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace") if not text.isascii() else text


def _number(text: str) -> float | None:
    """The number that JSON has for a text, an integer if SQLite holds such; None if it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("-").isdecimal() and len(text) < 20 and -_MAX_INTEGER <= (whole := int(text)) < _MAX_INTEGER:
        return whole
    return number if math.isfinite(number := float(text)) else None
