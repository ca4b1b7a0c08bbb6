"""Windows of load until they agree, level by level, those of bare ONNX Runtime in between.

Speed is the median of the windows, latencies are of all of them. What is held against something else takes turns with
it, so that a machine that is busy for a while is so for both.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cocon.client.bench.load import Load, Window, arrival_times
from cocon.client.bench.measured_model import MeasuredModel, Request
from cocon.client.models.served_work import ServedWork
from cocon.core.errors import ServerError

__all__ = ["Level", "Measured", "Pace", "measure_levels"]

# Windows that must agree, and how many there are at least: the median of fewer says little.
_AGREEING = 3
_FEWEST_WINDOWS = 5
# So many answers, one after the other, a window has room for.
_FEWEST_ANSWERS = 4


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often is measured, and when it is enough.

    Attributes:
        interval_s: Length of a window; longer where an answer takes so long that a window would hold hardly any.
        stability: By what share the last windows may differ from their mean.
        max_trials: Most windows of a level.
        percentile: Latency that must agree, in place of the mean.
        threshold_s: Latency, of that percentile or the mean, beyond which no further level is measured.
        is_poisson: Whether requests of an open load come by chance, or one as long after another.
        max_callers: Most requests of an open load at a time.
    """

    interval_s: float = 1.0
    stability: float = 0.1
    max_trials: int = 10
    percentile: int | None = None
    threshold_s: float | None = None
    is_poisson: bool = True
    max_callers: int = 16

    def latency_s(self, latencies_s: NDArray[np.float64]) -> float:
        """The latency that is looked at."""
        if self.percentile is None:
            return float(latencies_s.mean())
        return float(np.percentile(latencies_s, self.percentile))


@dataclass(frozen=True, slots=True)
class Level:
    """One level of load: so many callers, or so many requests a second."""

    concurrency: int | None = None
    request_rate: float | None = None


@dataclass(slots=True)
class Measured:
    """What a level's windows said.

    Attributes:
        level: Of load.
        windows: Of the subject.
        bare: Of bare ONNX Runtime, as many; empty where it was not asked.
        num_bare_callers: That asked it.
        work: What the server did meanwhile, by model; empty without one.
        is_stable: Whether the last windows agreed.
    """

    level: Level
    windows: list[Window] = field(default_factory=list)
    bare: list[Window] = field(default_factory=list)
    num_bare_callers: int = 0
    work: Mapping[str, ServedWork] = field(default_factory=dict)
    is_stable: bool = False

    @property
    def requests_per_s(self) -> float:
        """Median of the windows."""
        return statistics.median(window.requests_per_s for window in self.windows)

    @property
    def bare_requests_per_s(self) -> float:
        """The same of bare ONNX Runtime."""
        return statistics.median(window.requests_per_s for window in self.bare)

    @property
    def latencies_s(self) -> NDArray[np.float64]:
        """Of every request that was answered, `float64 [n]`."""
        return np.concatenate([window.latencies_s for window in self.windows])

    @property
    def num_errors(self) -> int:
        """Requests without an answer."""
        return sum(len(window.errors) for window in self.windows)

    @property
    def num_delayed(self) -> int:
        """Requests of an open load that were not sent when they were due."""
        return sum(window.num_delayed for window in self.windows)


def measure_levels(
    subject: MeasuredModel, bare: MeasuredModel | None, requests: Sequence[Request], levels: Sequence[Level], pace: Pace
) -> Iterator[Measured]:
    """Measure one level after another.

    Args:
        subject: What is measured.
        bare: The same model in bare ONNX Runtime, which is asked by as many callers as the subject computes requests at
            a time, and no more than ask the subject.
        requests: That are taken in turn.
        levels: Of load.
        pace: How long.

    Yields:
        One after another, until the latency is beyond the threshold.

    Raises:
        CoconError: Of a window no request was answered: what the last one met with.
        ServerError: Of a level no request could be sent.
    """
    with ExitStack() as loads:
        load = loads.enter_context(Load(subject, requests))
        bare_load = None if bare is None else loads.enter_context(Load(bare, requests))
        for level in levels:
            measured = Measured(level)
            if bare is not None:
                measured.num_bare_callers = min(level.concurrency or bare.num_instances, bare.num_instances)
            _measure(subject, load, bare_load, measured, pace)
            yield measured
            if pace.threshold_s is not None and pace.latency_s(measured.latencies_s) > pace.threshold_s:
                return


def _measure(subject: MeasuredModel, load: Load, bare_load: Load | None, measured: Measured, pace: Pace) -> None:
    ours = partial(_window, load, measured.level, pace)
    turns: list[tuple[list[Window], Callable[[float, int], Window]]] = [(measured.windows, ours)]
    if bare_load is not None:
        turns.append((measured.bare, lambda length_s, _: bare_load.closed(measured.num_bare_callers, length_s)))
    interval_s = max(_interval_s(ask(pace.interval_s / 2, 0), measured.level, pace) for _, ask in turns)
    before = subject.work()
    for trial in range(1, max(pace.max_trials, _AGREEING) + 1):
        for windows, ask in turns if trial % 2 else reversed(turns):
            windows.append(_sound(ask(interval_s, trial)))
        measured.is_stable = _agree(measured.windows, pace)
        if measured.is_stable and trial >= _FEWEST_WINDOWS:
            break
    if not len(measured.latencies_s):
        raise ServerError(f"no request was sent within {interval_s:g} s, the length of a window; have longer ones: -p")
    after = subject.work()
    measured.work = {name: work.since(before[name]) for name, work in after.items()}


def _window(load: Load, level: Level, pace: Pace, length_s: float, trial: int) -> Window:
    if level.request_rate is None:
        return load.closed(level.concurrency or 1, length_s)
    arrivals_s = arrival_times(level.request_rate, length_s, is_poisson=pace.is_poisson, seed=trial)
    return load.open(arrivals_s, pace.max_callers, length_s)


def _interval_s(first: Window, level: Level, pace: Pace) -> float:
    """How long windows are, by the first one, which also warms up."""
    latency_s = float(np.median(first.latencies_s)) if len(first.latencies_s) else 0.0
    gap_s = 1 / level.request_rate if level.request_rate else 0.0
    return max(pace.interval_s, _FEWEST_ANSWERS * max(latency_s, gap_s))


def _sound(window: Window) -> Window:
    """The window, unless nothing of what was sent in it was answered."""
    if window.errors and not len(window.latencies_s):
        raise window.errors[-1]
    return window


def _agree(windows: Sequence[Window], pace: Pace) -> bool:
    last = windows[-_AGREEING:]
    if len(last) < _AGREEING or not all(len(window.latencies_s) for window in last):
        return False
    speeds = np.array([window.requests_per_s for window in last])
    latencies_s = np.array([pace.latency_s(window.latencies_s) for window in last])
    return all(
        bool((np.abs(figures - figures.mean()) <= pace.stability * figures.mean()).all())
        for figures in (speeds, latencies_s)
    )
