"""Ask a server again while it stops, starts, loads, hangs or has no room, until the deadline.

A restart takes seconds, and its clients come back at their own moments: pauses grow, and each is a random share of its
length, so that a server that has just begun, or has no room, is not asked by all at once.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from tritonclient.utils import InferenceServerException

from cocon.client.models.failures import is_distrusted, is_interruption, is_late, is_refused, is_unreachable, said
from cocon.core.telling.waits import waiting_for

__all__ = ["NoAnswerError", "Retries", "seconds_until"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
# One that is away is found within a second; one that has no room is given time.
_LONGEST_PAUSE_OF_REFUSED_S = 4.0
_LEAST_SHARE = 0.5
# So many failures are no blip: the user is told.
_MOST_UNTOLD = 4
_SHORTEST_S = 0.001
# Where nothing has ever answered, to wait for the deadline would only hide that nobody is there.
_MOST_FIRST_REQUESTS = 4

_Answer = TypeVar("_Answer")


class NoAnswerError(Exception):
    """A request that stays without an answer.

    Attributes:
        failure: What says most of why.
        has_answered: Whether the server ever did, be it to refuse.
    """

    def __init__(self, failure: InferenceServerException, *, has_answered: bool) -> None:
        super().__init__(failure)
        self.failure, self.has_answered = failure, has_answered


class Retries:
    """Asks one server; knows whether it has ever answered. Not safe for several threads.

    Args:
        server: What it is called where it is waited for.
        check_live: Raises what a server says that is about to end, and nothing else; takes the seconds it may last.
        timeout_s: Deadline of a request.
        deadline_s: Of a request and its repetitions; none is repeated after its time is up unless this is longer.
        awaits_start: Whether a server that has never answered is waited for as long; else it is asked a few times.
        num_servers: How many there are to be asked in turn.
    """

    def __init__(
        self,
        server: str,
        check_live: Callable[[float], object],
        *,
        timeout_s: float,
        deadline_s: float | None = None,
        awaits_start: bool = False,
        num_servers: int = 1,
    ) -> None:
        self._server, self._check_live = server, check_live
        self._timeout_s, self._deadline_s = timeout_s, timeout_s if deadline_s is None else deadline_s
        self._awaits_start = awaits_start
        self._num_servers = num_servers
        self._has_answered = False
        self._closed = threading.Event()

    def ask(self, request: Callable[[float], _Answer]) -> _Answer:
        """The answer to a request, which takes the seconds it may last.

        Raises:
            NoAnswerError: There is none, or it is a refusal.
        """
        deadline = time.monotonic() + self._deadline_s
        failures: list[InferenceServerException] = []
        with ExitStack() as waiting:
            while True:
                try:
                    answer = request(min(self._timeout_s, seconds_until(deadline)))
                except InferenceServerException as error:
                    failures.append(self._judged(error, deadline))
                else:
                    self._has_answered = True
                    return answer
                if not self._is_worth_another(failures) or self._has_paused_past(deadline, failures):
                    # That the time was up says less than what it was spent on.
                    telling = [error for error in failures if not is_late(error)] or failures
                    raise NoAnswerError(telling[-1], has_answered=self._has_answered) from failures[-1]
                if len(failures) == 1:
                    say = waiting.enter_context(waiting_for(f"server {self._server}"))
                elif len(failures) == _MOST_UNTOLD:
                    say(f"{said(failures[-1])}; up to {self._deadline_s:g} s")

    def close(self) -> None:
        """Give up what a thread is about to ask again."""
        self._closed.set()

    def _has_paused_past(self, deadline: float, failures: list[InferenceServerException]) -> bool:
        """Pause before the next request; True where it would be too late, or is not wanted any more."""
        longest_s = _LONGEST_PAUSE_OF_REFUSED_S if is_refused(failures[-1]) else _LONGEST_PAUSE_S
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(len(failures) - 1, 16), longest_s) * random.uniform(_LEAST_SHARE, 1)
        return time.monotonic() + pause_s >= deadline or self._closed.wait(pause_s)

    def _judged(self, failure: InferenceServerException, deadline: float) -> InferenceServerException:
        """The failure, or that the server is about to end: what it refuses by then, it may be able to do again."""
        if is_interruption(failure) or is_late(failure) or is_distrusted(failure):
            return failure
        self._has_answered = True
        try:
            self._check_live(min(self._timeout_s, seconds_until(deadline)))
        except InferenceServerException as error:
            return error
        return failure

    def _is_worth_another(self, failures: list[InferenceServerException]) -> bool:
        last = failures[-1]
        if is_distrusted(last):
            # Of the latest round, where one of them is known to come back; else that tells most of why.
            latest = failures[-self._num_servers :]
            is_expected = self._has_answered or self._awaits_start
            return len(latest) < self._num_servers or (is_expected and not all(map(is_distrusted, latest)))
        if not is_interruption(last) and not is_late(last):
            return False
        self._has_answered |= not is_unreachable(last) and not is_late(last)
        return (
            self._has_answered or self._awaits_start or len(failures) < max(_MOST_FIRST_REQUESTS, 2 * self._num_servers)
        )


def seconds_until(deadline_s: float) -> float:
    """How long a request may last until a moment of `time.monotonic`; never 0, which is no limit."""
    return max(_SHORTEST_S, deadline_s - time.monotonic())
