"""How long a run has been trained for, over all the sessions that made it."""

import time

__all__ = ["Elapsed"]


class Elapsed:
    """A clock that begins when it is made; work that was done after the last checkpoint and lost is not counted."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of this session and of those before it."""
        return self._before + time.monotonic() - self._started

    def restore(self, seconds: float) -> None:
        """Add the seconds that a checkpoint was made after."""
        self._before = seconds
