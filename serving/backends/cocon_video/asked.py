"""What a request asks of a video, besides its bytes: the parameters of the protocol, each with a default.

| parameter | type | default | what |
|---|---|---|---|
| `views` | string | `rgb` | names of views with commas between them, fused when there are several, or `all` |
| `overlap` | number | 0 | share of a clip that the next one repeats, from 0 to 0.9 |
| `name` | string | `video` | what errors call the video; its ending tells formats apart that look alike |
| `strict` | boolean | false | refuse damaged videos |

A number or a boolean may also come as a string, for those whose protocol has no other type.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.video.blocks import check_overlap

__all__ = ["Asked"]

_KNOWN = ("views", "overlap", "name", "strict")
# Triton's clients add some of their own.
_OF_TRITON = "triton_"
_LONGEST_NAME = 4096
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}\Z")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of one request.

    Attributes:
        views: Names of views, or `all`; empty for the default.
        overlap: Share of a clip that the next one repeats.
        name: What the video is called.
        is_strict: Whether damaged videos are refused.
    """

    views: tuple[str, ...] = ()
    overlap: float = 0.0
    name: str = "video"
    is_strict: bool = False

    @classmethod
    def of(cls, parameters: str) -> Self:
        """Read the parameters of a request.

        Args:
            parameters: A JSON object, as Triton's worker gives them; may be empty.

        Raises:
            UsageError: One is unknown, or has another type or range.
        """
        given: Mapping[str, Any] = json.loads(parameters) if parameters else {}
        if unknown := [key for key in given if key not in _KNOWN and not key.startswith(_OF_TRITON)]:
            raise UsageError(f"parameter '{printable(unknown[0])}' is unknown; known: {', '.join(_KNOWN)}")
        overlap = _number("overlap", given.get("overlap", 0.0))
        check_overlap(overlap)
        return cls(
            tuple(filter(None, (view.strip() for view in _text("views", given.get("views", "")).split(",")))),
            overlap,
            _text("name", given.get("name", "video")) or "video",
            _boolean("strict", given.get("strict", False)),
        )

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot; empty if it has none that a file may have."""
        found = _SUFFIX.search(self.name)
        return found[0] if found else ""


def _text(parameter: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"parameter {parameter} ({value}) must be a string")
    if len(value) > _LONGEST_NAME:
        raise UsageError(f"parameter {parameter} has {len(value)} characters, at most {_LONGEST_NAME}")
    return value


def _number(parameter: str, value: object) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise UsageError(f"parameter {parameter} ({printable(str(value))[:100]}) must be a number")


def _boolean(parameter: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if (found := _BOOLEANS.get(str(value).lower())) is None:
        raise UsageError(f"parameter {parameter} ({printable(str(value))[:100]}) must be true or false")
    return found
