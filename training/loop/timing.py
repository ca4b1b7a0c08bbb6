"""How long a run has been trained for, how long it will take yet, and a line an epoch of how it goes.

    pre-training: epoch 3 of 15, loss 2.314, 4 min 10 s left
    probe after epoch 3 of 15: top1 rgb 31.2 %, flow 40.1 %; R@1 rgb 22.0 %, flow 35.5 %

These lines are all that a log has to follow a training by; a terminal shows them above the bar.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cocon.core.progress import OnProgress, ProgressBar, duration_said

__all__ = ["Elapsed", "EpochLines", "Forecast", "Told"]

# The first steps allocate, compile and wait for the first batches: they say little of the others.
_WARM_UP_STEPS = 2
_MEASURED_STEPS = 3
# Epochs of a small set last a second: a line for each would fill a log.
_LEAST_S = 10.0
# Figure of a line → what it is called there; of the probe and of classifiers they are of a view each.
_OF_VIEWS = {"probe_top1": "top1", "R@1": "R@1", "accuracy": "accuracy"}


@dataclass(frozen=True, slots=True)
class Told:
    """How it is told what a run does: bars, what it will use and how long that takes, and lines of epochs."""

    progress_bar: ProgressBar
    say: Callable[[str], None]
    say_epoch: Callable[[str], None]


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


class EpochLines:
    """Says how the epochs of a phase went: the first, the last, and others at least ten seconds apart.

    Args:
        what: is trained, in words.
        num_epochs: of the phase.
        say: called with a line of text.
    """

    def __init__(self, what: str, num_epochs: int, say: Callable[[str], None]) -> None:
        self._what = what
        self._num_epochs = num_epochs
        self._say = say
        self._done_before = 0.0
        self._began = self._said = time.monotonic()
        self._is_first = True

    def begin(self, epochs_done: float) -> None:
        """The session begins after so many epochs, of which a part may be one."""
        self._done_before, self._began = epochs_done, time.monotonic()

    def __call__(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Take in what the journal has written of an epoch.

        Args:
            phase: as the journal calls it; `probe` is said whenever there is one.
            epoch: epochs done, from 1.
            figures: by their names in the journal; of the probe in per cent.
        """
        now = time.monotonic()
        if phase == "probe":
            told = "; ".join(_of_views(figures, scale=1.0))
            self._say(f"probe after epoch {epoch} of {self._num_epochs}: {told}")
        elif self._is_first or epoch == self._num_epochs or now - self._said >= _LEAST_S:
            self._is_first, self._said = False, now
            parts = [f"epoch {epoch} of {self._num_epochs}", f"loss {figures['loss']:.4g}"]
            parts += [*_of_views(figures, scale=100.0), *self._left(now, epoch)]
            self._say(f"{self._what}: {', '.join(parts)}")

    def _left(self, now: float, epoch: int) -> list[str]:
        if epoch >= self._num_epochs:
            return []
        seconds = (now - self._began) / (epoch - self._done_before) * (self._num_epochs - epoch)
        return [f"{duration_said(seconds)} left"]


def _of_views(figures: Mapping[str, float], *, scale: float) -> list[str]:
    """Each kind of figure that views have one by one, with all of them, in per cent."""
    told = []
    for kind, called in _OF_VIEWS.items():
        views = {name.partition("/")[2]: value for name, value in figures.items() if name.startswith(f"{kind}/")}
        if views:
            told.append(f"{called} {', '.join(f'{view} {scale * value:.1f} %' for view, value in views.items())}")
    return told
