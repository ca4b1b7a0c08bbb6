"""Text for people."""

import os
from pathlib import Path

__all__ = ["clock", "in_one_line", "printable", "short_path"]

_MINUTES_FROM_S = 120.0


def clock(seconds: float) -> str:
    """A moment as people write it: `1.5 s`, from two minutes on `2:30`."""
    if seconds < _MINUTES_FROM_S:
        return f"{round(seconds, 1):g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def in_one_line(error: Exception) -> str:
    """What an error says, without its line breaks; its class where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def printable(text: object) -> str:
    """As text that every UTF-8 stream takes: file names may be bytes that are no text, which are written out."""
    return str(text).encode(errors="backslashreplace").decode()


def short_path(path: str) -> str:
    """A path below the working directory without it."""
    return path.removeprefix(f"{Path.cwd()}{os.sep}")
