"""What `START:END:STEP` means: how many callers at a time, or how many requests a second, one level after another."""

import math
from collections.abc import Callable
from typing import TypeVar

from cocon.core.errors import UsageError

__all__ = ["concurrencies", "request_rates"]

# More levels, and more callers at a time, are a slip of the pen.
_MOST_LEVELS = 64
_MOST_CALLERS = 1024
_LEAST_PER_S, _MOST_PER_S = 0.1, 1e6

_Number = TypeVar("_Number", int, float)


def concurrencies(text: str) -> list[int]:
    """Callers at a time, by `START`, `START:END` or `START:END:STEP`; END is one of them if a step meets it.

    Raises:
        UsageError: It has another form, goes down, or is beyond what one client can do.
    """
    return _levels("--concurrency-range", text, int, 1, _MOST_CALLERS)


def request_rates(text: str) -> list[float]:
    """Requests a second, likewise."""
    return _levels("--request-rate-range", text, float, _LEAST_PER_S, _MOST_PER_S)


def _levels(option: str, text: str, number: Callable[[str], _Number], least: _Number, most: _Number) -> list[_Number]:
    try:
        start, end, step = _parts(text, number)
    except ValueError as error:
        raise UsageError(f"{option} '{text}' is not START:END:STEP in numbers, such as 1:8:1") from error
    if not (least <= start <= end <= most and step > 0 and math.isfinite(end)):
        raise UsageError(f"{option} '{text}' must go up, from at least {least:g} to at most {most:g}")
    num_levels = math.floor((end - start) / step + 1e-9) + 1
    if num_levels > _MOST_LEVELS:
        raise UsageError(f"{option} '{text}' has {num_levels} levels, at most {_MOST_LEVELS}; take a larger step")
    return [start + position * step for position in range(num_levels)]


def _parts(text: str, number: Callable[[str], _Number]) -> tuple[_Number, _Number, _Number]:
    parts = [number(part) for part in text.split(":")]
    if len(parts) > 3:
        raise ValueError(text)
    start = parts[0]
    return start, parts[1] if len(parts) > 1 else start, parts[2] if len(parts) > 2 else number("1")
