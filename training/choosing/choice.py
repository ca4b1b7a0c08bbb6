"""What was chosen: settings, and the lines that tell them and why; what is set already is not chosen."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["Choice", "Machine", "is_set"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Machine:
    """What trains.

    Attributes:
        has_gpu: whether there is a CUDA device.
        cores: of the processor, that may be used.
    """

    has_gpu: bool
    cores: int

    def __str__(self) -> str:
        return "a GPU" if self.has_gpu else f"{self.cores} core{'s' if self.cores > 1 else ''}"


@dataclass(slots=True)
class Choice:
    """Settings, and the lines that tell them.

    Attributes:
        fixed: keys that are set already, and so not chosen.
        settings: `section.key=value`.
        lines: of text.
    """

    fixed: Collection[str] = ()
    settings: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def set(self, key: str, value: T, fixed: T | None = None) -> T:
        """Choose a value, unless one is set.

        Args:
            key: of the configuration.
            value: what is chosen.
            fixed: what it is where it is set.

        Returns:
            What counts.
        """
        if is_set(key, self.fixed):
            return value if fixed is None else fixed
        self.settings.append(f"{key}={json.dumps(value)}")
        return value

    def say(self, line: str, *keys: str) -> None:
        """Tell of it, unless all of these keys were set already."""
        if not keys or not all(is_set(key, self.fixed) for key in keys):
            self.lines.append(line)


def is_set(key: str, fixed: Collection[str]) -> bool:
    """Whether a key is among those that are fixed, by itself or by its section."""
    return any(key == each or key.startswith(f"{each}.") for each in fixed)
