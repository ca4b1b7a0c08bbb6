"""What a request says, checked field by field: nobody but the page should ask, and yet anybody may try."""

import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from starlette.datastructures import QueryParams
from starlette.requests import Request

from cocon.client.index.query.conditions import Condition
from cocon.client.index.query.filters import Filters
from cocon.client.web.problems import RefusedError
from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["Fields", "asked_filters", "asked_id", "asked_json", "number_of", "whole_number"]

_MAX_BODY_BYTES = 8 << 20
_MAX_ID = 2**63 - 1
_ID = re.compile(r"\d{1,19}", re.ASCII)
# JSON can name it, and UTF-8 has none.
_HALF_LETTER = re.compile("[\ud800-\udfff]")


class Fields:
    """The members of a JSON object.

    Args:
        values: By name.
        where: The object is, for messages: `query`.
    """

    def __init__(self, values: Mapping[str, Any], where: str = "") -> None:
        self._values, self._where = values, where

    def has(self, name: str) -> bool:
        """Whether it says something of that."""
        return self._values.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """A text; raises `UsageError` if it is none, as the others do."""
        return self._text(name, self._found(name, default))

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        found = self._found(name, default)
        return found if isinstance(found, bool) else self._wrong(name, found, "true or false")

    def integer(self, name: str, default: int | None = None, *, least: int = 0, most: int = _MAX_ID) -> int:
        """A whole number from `least` to `most`."""
        found = self._found(name, default)
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            self._wrong(name, found, f"a whole number from {least} to {most}")
        return found

    def seconds(self, name: str) -> float | None:
        """A time from 0; None if it is not given."""
        if not self.has(name):
            return None
        found = self._values[name]
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= sys.float_info.max:
            self._wrong(name, found, "seconds from 0")
        return float(found)

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts, none if it is not given."""
        return tuple(self._text(name, each) for each in self._many(name))

    def members(self, name: str) -> list["Fields"]:
        """Objects, none if it is not given."""
        return [self._object(name, each) for each in self._many(name)]

    def member(self, name: str) -> "Fields":
        """An object."""
        return self._object(name, self._found(name, None))

    def _many(self, name: str) -> list[Any]:
        found = self._found(name, [])
        return found if isinstance(found, list) else self._wrong(name, found, "a list")

    def _text(self, name: str, found: object) -> str:
        if not isinstance(found, str) or _HALF_LETTER.search(found):
            self._wrong(name, found, "text")
        return found

    def _object(self, name: str, found: object) -> "Fields":
        return Fields(found, name) if isinstance(found, dict) else self._wrong(name, found, "an object")

    def _found(self, name: str, default: object) -> Any:  # noqa: ANN401  # JSON
        found = self._values.get(name)
        if found is None and default is None:
            raise UsageError(f"'{self._named(name)}' is missing; give it")
        return default if found is None else found

    def _named(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _wrong(self, name: str, found: object, rule: str) -> NoReturn:
        raise UsageError(f"'{self._named(name)}' ({printable(str(found)[:80])}) must be {rule}; change it")


async def asked_json(request: Request) -> Fields:
    """The JSON object that a request carries.

    Raises:
        RefusedError: It is larger than any that is meant.
        UsageError: It is none.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise RefusedError(413, f"the request has more than {_MAX_BODY_BYTES} bytes; ask for less at a time")
    try:
        found = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is no JSON; send an object") from error
    if not isinstance(found, dict):
        raise UsageError("the request is no JSON object; send one")
    return Fields(found)


def asked_id(request: Request) -> int:
    """The `video_id` in the path of a request; raises `RefusedError` if none can be of that form."""
    text = str(request.path_params["video_id"])
    if not _ID.fullmatch(text) or int(text) > _MAX_ID:
        raise RefusedError(404, f"'{printable(text[:40])}' is no id of a video; look at the list of videos")
    return int(text)


def asked_filters(asked: Fields | QueryParams) -> Filters:
    """What an answer must meet, from an object `filters` or from the parameters of a list."""
    if isinstance(asked, QueryParams):
        return Filters(
            labels=tuple(asked.getlist("label")),
            not_labels=tuple(asked.getlist("not_label")),
            paths=tuple(asked.getlist("path")),
            from_seconds=number_of(asked, "from_s"),
            to_seconds=number_of(asked, "to_s"),
            where=tuple(map(Condition.parse, asked.getlist("where"))),
            text=asked.get("text", ""),
        )
    return Filters(
        labels=asked.texts("labels"),
        not_labels=asked.texts("not_labels"),
        paths=asked.texts("paths"),
        from_seconds=asked.seconds("from_seconds"),
        to_seconds=asked.seconds("to_seconds"),
        where=tuple(map(Condition.parse, asked.texts("where"))),
        text=asked.text("text", ""),
    )


def number_of(asked: QueryParams, name: str, default: float | None = None) -> float | None:
    """A number from 0 among parameters; raises `UsageError` if it is none."""
    if not (text := asked.get(name)):
        return default
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UsageError(f"'{name}' ({printable(text[:80])}) must be a number from 0; change it")
    return found


def whole_number(text: str, name: str) -> int:
    """A whole number from 0 that stands for a video or a clip; raises `UsageError` if it is none."""
    if not _ID.fullmatch(text) or int(text) > _MAX_ID:
        raise UsageError(f"'{name}' ({printable(text[:80])}) must be a whole number from 0; change it")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
