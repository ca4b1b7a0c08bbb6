"""Limits for media from strangers: one table, the same on every path.

| limit | default | guards against |
|---|---|---|
| `max_bytes` | 64 GiB | a file that fills the disk cache |
| `max_seconds` | 12 h | a header that promises years, a stream that never ends |
| `max_pixels` | 8192 × 8192 | pictures that fill the memory |
| `max_aspect` | 64 times as long as wide | strips that become huge when their short side is resized |
| `max_frames` | 5,184,000 (12 h at 120 frames/s) | endless frames at one moment |
| `frame_timeout_s` | 30 s | a decoder that hangs: it is stopped when no new frame comes for so long |
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cocon.core.errors import TooLargeError, UsageError

__all__ = ["LIMIT_HELP", "MediaLimits"]

_LONGEST_TIMEOUT_S = 86_400


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """How much of a file is read before it is refused; see the module's table.

    Raises:
        UsageError: a limit is not above zero.
    """

    max_bytes: int = 64 << 30
    max_seconds: float = 12 * 3600.0
    max_pixels: int = 8192 * 8192
    max_aspect: float = 64.0
    max_frames: int = 12 * 3600 * 120
    frame_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for limit in dataclasses.fields(self):
            if not getattr(self, limit.name) > 0:
                raise UsageError(f"limit {limit.name} ({getattr(self, limit.name)}) must be above 0")
        if self.frame_timeout_s > _LONGEST_TIMEOUT_S:
            raise UsageError(
                f"limit frame_timeout_s ({self.frame_timeout_s:g}) must be at most {_LONGEST_TIMEOUT_S}, a day"
            )

    @classmethod
    def parse(cls, settings: Iterable[str]) -> Self:
        """Defaults changed by `NAME=NUMBER` settings.

        Raises:
            UsageError: a setting has another form, an unknown name, or a number out of range.
        """
        defaults = dataclasses.asdict(cls())
        values: dict[str, int | float] = {}
        for setting in settings:
            name, _, number = setting.partition("=")
            if name not in defaults:
                raise UsageError(f"limit '{setting}' must be NAME=NUMBER with a NAME of {', '.join(defaults)}")
            try:
                values[name] = type(defaults[name])(float(number))
            except (ValueError, OverflowError) as error:
                raise UsageError(f"limit '{setting}' needs a number after '='") from error
        return cls(**(defaults | values))

    def check(self, path: Path | str, name: str, value: float, unit: str) -> None:
        """Refuse a file whose `value` is above the limit called `name`.

        Raises:
            TooLargeError: it is; the message has both numbers and how to raise the limit.
        """
        limit = getattr(self, name)
        if value > limit:
            raise TooLargeError(
                f"video '{path}' has {_in_full(value)} {unit}, the limit {name} is {_in_full(limit)};"
                f" raise it with --limit {name}=NUMBER"
            )


def _in_full(value: float) -> str:
    """A number whose every digit before the point counts."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.3g}"


LIMIT_HELP = f"NAME=NUMBER: {', '.join(limit.name for limit in dataclasses.fields(MediaLimits))}."
