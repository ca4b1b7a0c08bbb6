"""Load of a known kind on a subject, for the length of a window.

*Closed*: so many callers, each asks again as soon as it has its answer. *Open*: requests come when they come, however
long the answers take; their latency counts from when they were due, so that waiting for a free caller is not left out.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from cocon.client.bench.measured_model import Caller, MeasuredModel, Request
from cocon.core.closing import Closing
from cocon.core.errors import CoconError

__all__ = ["Load", "Window", "arrival_times"]

# Before a caller that got no answer asks again.
_PAUSE_S = 0.05
# How much later than it was due a request may be sent, and not be called delayed.
_DELAY_S = 0.001


@dataclass(frozen=True, slots=True)
class Window:
    """What one window measured.

    Attributes:
        requests_per_s: That were answered.
        latencies_s: Of each of those, `float64 [n]`.
        errors: What the others met with.
        num_delayed: Requests of an open load that were sent late, or not at all, for want of a caller.
    """

    requests_per_s: float
    latencies_s: NDArray[np.float64]
    errors: tuple[CoconError, ...] = ()
    num_delayed: int = 0


@dataclass(slots=True)
class _Tally:
    """What one caller has done in a window, and how long it was at work."""

    latencies_s: list[float] = field(default_factory=list)
    errors: list[CoconError] = field(default_factory=list)
    num_delayed: int = 0
    seconds: float = 0.0


class Load(Closing):
    """Callers of one subject.

    Args:
        subject: Is asked; not closed here.
        requests: Taken in turn by each caller.
    """

    def __init__(self, subject: MeasuredModel, requests: Sequence[Request]) -> None:
        self._subject, self._requests = subject, requests
        self._callers: list[Caller] = []
        self._is_stopped = threading.Event()

    def closed(self, num_callers: int, interval_s: float) -> Window:
        """Have so many callers ask as fast as they are answered; each ends with the answer it then waits for."""
        begin_s = time.perf_counter()

        def work(caller: Caller, requests: Iterator[Request]) -> _Tally:
            tally = _Tally()
            while tally.seconds < interval_s and not self._is_stopped.is_set():
                self._ask(caller, next(requests), tally, time.perf_counter())
                tally.seconds = time.perf_counter() - begin_s
            return tally

        tallies = self._run(num_callers, work)
        # Each caller's own pace until its own end: who waits for the last answer of others has not been slow.
        pace = sum(len(tally.latencies_s) / tally.seconds for tally in tallies if tally.seconds)
        return _window(tallies, pace)

    def open(self, arrivals_s: NDArray[np.float64], num_callers: int, interval_s: float) -> Window:
        """Send requests when they are due.

        Args:
            arrivals_s: When, from the window's begin, ascending `float64 [n]`.
            num_callers: Most requests at a time.
            interval_s: What is not sent by then is delayed, and not sent.
        """
        begin_s = time.perf_counter()
        due, lock = iter(arrivals_s.tolist()), threading.Lock()

        def work(caller: Caller, requests: Iterator[Request]) -> _Tally:
            tally = _Tally()
            while not self._is_stopped.is_set():
                with lock:
                    offset_s = next(due, None)
                if offset_s is None:
                    break
                early_s = begin_s + offset_s - time.perf_counter()
                tally.num_delayed += early_s < -_DELAY_S
                if early_s > 0 and self._is_stopped.wait(early_s):
                    break
                if time.perf_counter() - begin_s < interval_s + _DELAY_S:
                    self._ask(caller, next(requests), tally, begin_s + offset_s)
                    tally.seconds = time.perf_counter() - begin_s
            return tally

        tallies = self._run(num_callers, work)
        num_answered = sum(len(tally.latencies_s) for tally in tallies)
        return _window(tallies, num_answered / max(interval_s, *(tally.seconds for tally in tallies)))

    def close(self) -> None:
        """Let go of the callers."""
        self._is_stopped.set()
        for caller in self._callers:
            caller.close()

    def _ask(self, caller: Caller, request: Request, tally: _Tally, due_s: float) -> None:
        try:
            caller.call(request)
        except CoconError as error:
            tally.errors.append(error)
            self._is_stopped.wait(_PAUSE_S)
        else:
            tally.latencies_s.append(time.perf_counter() - due_s)

    def _run(self, num_callers: int, work: Callable[[Caller, Iterator[Request]], _Tally]) -> list[_Tally]:
        while len(self._callers) < num_callers:
            self._callers.append(self._subject.caller())
        with ThreadPoolExecutor(num_callers) as threads:
            running = [
                threads.submit(work, caller, islice(cycle(self._requests), position % len(self._requests), None))
                for position, caller in enumerate(self._callers[:num_callers])
            ]
            try:
                return [future.result() for future in running]
            except BaseException:
                self.close()  # or else the threads would be waited for
                raise


def arrival_times(rate: float, interval_s: float, *, is_poisson: bool, seed: int) -> NDArray[np.float64]:
    """When requests come that nobody arranges (Poisson), or one as long after another: ascending seconds `float64 [n]`.

    Args:
        rate: Mean number of requests a second.
        interval_s: All of them come before.
        is_poisson: Whether nobody arranges them.
        seed: Of the chance.
    """
    if not is_poisson:
        return np.arange(0.0, interval_s, 1 / rate)
    rng = np.random.default_rng(seed)
    return np.sort(rng.uniform(0.0, interval_s, rng.poisson(rate * interval_s)))


def _window(tallies: Sequence[_Tally], requests_per_s: float) -> Window:
    latencies_s = np.array([latency for tally in tallies for latency in tally.latencies_s], np.float64)
    errors = tuple(error for tally in tallies for error in tally.errors)
    return Window(requests_per_s, latencies_s, errors, sum(tally.num_delayed for tally in tallies))
