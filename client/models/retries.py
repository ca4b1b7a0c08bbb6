"""Ask a server again while it stops, starts, loads or has no room, until the deadline."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tritonclient.utils import InferenceServerException

from cocon.client.models.failures import is_interruption, is_unreachable, status

__all__ = ["NoAnswerError", "Retries", "seconds_until"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
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
        check_live: Raises what a server says that is about to end, and nothing else; takes the seconds it may last.
        timeout_s: Deadline of every request, its repetitions included.
    """

    def __init__(self, check_live: Callable[[float], object], *, timeout_s: float) -> None:
        self._check_live = check_live
        self._timeout_s = timeout_s
        self._has_answered = False
        self._closed = threading.Event()

    def ask(self, request: Callable[[float], _Answer]) -> _Answer:
        """The answer to a request, which takes the seconds it may last.

        Raises:
            NoAnswerError: There is none, or it is a refusal.
        """
        deadline, pause_s = time.monotonic() + self._timeout_s, _FIRST_PAUSE_S
        failures: list[InferenceServerException] = []
        while True:
            try:
                answer = request(seconds_until(deadline))
            except InferenceServerException as error:
                failures.append(self._judged(error, deadline))
            else:
                self._has_answered = True
                return answer
            is_late = time.monotonic() + pause_s >= deadline
            if not self._is_worth_another(failures) or is_late or self._closed.wait(pause_s):
                # That the time was up says less than what it was spent on.
                telling = [error for error in failures if status(error) != "DEADLINE_EXCEEDED"] or failures
                raise NoAnswerError(telling[-1], has_answered=self._has_answered) from failures[-1]
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """Give up what a thread is about to ask again."""
        self._closed.set()

    def _judged(self, failure: InferenceServerException, deadline: float) -> InferenceServerException:
        """The failure, or that the server is about to end: what it refuses by then, it may be able to do again."""
        if is_interruption(failure) or status(failure) == "DEADLINE_EXCEEDED":
            return failure
        self._has_answered = True
        try:
            self._check_live(seconds_until(deadline))
        except InferenceServerException as error:
            return error
        return failure

    def _is_worth_another(self, failures: list[InferenceServerException]) -> bool:
        last = failures[-1]
        if not is_interruption(last):
            return False
        self._has_answered |= not is_unreachable(last)
        return self._has_answered or len(failures) < _MOST_FIRST_REQUESTS


def seconds_until(deadline_s: float) -> float:
    """How long a request may last until a moment of `time.monotonic`; never 0, which is no limit."""
    return max(_SHORTEST_S, deadline_s - time.monotonic())
