"""How long a run has been trained for, and how long it will take yet."""

import math
import time
from collections.abc import Callable

from cocon.core.progress import OnProgress

__all__ = ["Elapsed", "Forecast"]

# The first steps allocate, compile and wait for the first batches: they say little of the others.
_WARM_UP_STEPS = 2
_MEASURED_STEPS = 3


class Elapsed:
    """A clock that begins when it is made; work that was done after the last checkpoint and lost is not counted.

    What is counted is the time of all the sessions that made a run.
    """

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


class Forecast:
    """Passes progress on, and says once, after the first steps of a session, how long it will take.

    Args:
        what: is trained, in words.
        per_epoch: steps in one epoch.
        on_progress: called with what it is called with: (steps done, steps in all).
        say: called with the forecast, a line of text.
    """

    def __init__(self, what: str, per_epoch: int, on_progress: OnProgress, say: Callable[[str], None]) -> None:
        self._what = what
        self._per_epoch = per_epoch
        self._on_progress = on_progress
        self._say = say
        self._first: int | None = None
        self._started = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Take in that steps are done; the first call begins the session."""
        self._on_progress(done, total)
        if self._first is None:
            self._first = done
        num_steps = done - self._first
        if num_steps == _WARM_UP_STEPS:
            self._started = time.monotonic()
        elif num_steps == _WARM_UP_STEPS + _MEASURED_STEPS:
            step_seconds = (time.monotonic() - self._started) / _MEASURED_STEPS
            minutes = math.ceil(step_seconds * (total - self._first) / 60)
            epochs = f"{math.ceil((total - self._first) / self._per_epoch)} epochs"
            if self._first >= self._per_epoch:
                epochs += " left"
            self._say(
                f"{self._what}: about {minutes} min for {epochs} ({step_seconds:.2g} s a step, measured on steps "
                f"{done - _MEASURED_STEPS + 1} to {done} of {total})"
            )
