"""Stopping between two steps: Ctrl-C and SIGTERM are noted, and acted on when the state can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "interruptible"]


class Interruption:
    """Whether somebody asked for a stop."""

    def __init__(self) -> None:
        self.is_requested = False

    def _request(self, signal_number: int, frame: FrameType | None) -> None:
        if self.is_requested:  # asked twice: at once
            raise KeyboardInterrupt
        self.is_requested = True


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Catch SIGINT and SIGTERM while the block runs; a second one raises `KeyboardInterrupt`."""
    interruption = Interruption()
    previous = {number: signal.signal(number, interruption._request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
