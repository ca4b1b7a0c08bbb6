"""One process per job: a stop is passed on to it, its error comes back, and it does not outlive its parent."""

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait

from cocon.core.errors import CoconError

__all__ = ["Job"]

_WATCH_S = 2.0


class Job:
    """A function call in a process of its own, which a terminal's Ctrl-C does not reach: its parent passes it on.

    Args:
        name: for messages.
        work: what to call; it must be possible to send it, as a `partial` of a module's function.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        context = get_context("spawn")
        self.name = name
        self._errors, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_call, args=(sender, os.getpid(), work))
        self._process.start()
        sender.close()

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes; ready when the job has ended."""
        return self._process.sentinel

    def is_done(self) -> bool:
        """Whether it has ended, well.

        Raises:
            CoconError: what it raised, or how else it ended.
        """
        if not wait([self.sentinel], timeout=0):
            return False
        self._process.join()
        if self._process.exitcode == 0:
            return True
        if error := self._error():
            raise type(error)(f"{self.name}: {error}") from error
        raise CoconError(
            f"{self.name} ended with exit code {self._process.exitcode} (-9 is often a lack of memory); the same "
            "command goes on; fewer --jobs need less"
        )

    def _error(self) -> CoconError | None:
        try:
            error: CoconError = self._errors.recv()
        except EOFError:  # it died without a word
            return None
        return error

    def stop(self) -> None:
        """Ask it to save what it has and end; returns when it has."""
        self._process.terminate()
        self._process.join()


def _call(sender: Connection, parent: int, work: Callable[[], None]) -> None:
    os.setsid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        work()
    except CoconError as error:
        sender.send(error)
        raise SystemExit(1) from error
    except KeyboardInterrupt as stop:
        raise SystemExit(130) from stop


def _end_with(parent: int) -> None:
    """Ask this process to stop when its parent has gone without asking."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os.kill(os.getpid(), signal.SIGTERM)
