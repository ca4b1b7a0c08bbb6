"""What this process waits for, such as a server that is away: shown beside all progress, and said once.

    with waiting_for("server 127.0.0.1:8001") as say:
        say("it is not ready; up to 300 s")     # one line, however many threads wait for the same

A wait concerns whatever is under way, so nobody between who waits and who shows progress has to pass it on.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["awaited", "waiting_for"]

_logger = logging.getLogger(__name__)

_lock = threading.Lock()
_waiting: Counter[str] = Counter()
# What was said to be waited for → since when, in seconds of `time.monotonic`.
_said: dict[str, float] = {}


def awaited() -> list[str]:
    """What somebody in this process waits for now, in alphabetical order."""
    with _lock:
        return sorted(_waiting)


@contextmanager
def waiting_for(what: str) -> Iterator[Callable[[str], None]]:
    """Wait for something while the block runs; threads that wait for the same are as one.

    Yields:
        Takes the reason, and warns of it the first time; then the end of the wait is said too.
    """

    def say(reason: str) -> None:
        with _lock:
            is_new = what not in _said
            _said.setdefault(what, time.monotonic())
        if is_new:
            _logger.warning("waiting for %s: %s", what, reason)

    with _lock:
        _waiting[what] += 1
    try:
        yield say
    finally:
        with _lock:
            _waiting[what] -= 1
            is_over = not _waiting[what]
            if is_over:
                del _waiting[what]
            since_s = _said.pop(what, None) if is_over else None
        if since_s is not None:
            _logger.info("waited %.1f s for %s", time.monotonic() - since_s, what)
