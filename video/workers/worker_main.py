"""The worker process: runs jobs that its parent sends, one after the other, until the parent is gone.

A decoder may hang inside a C library, where no Python code of this process runs any more. The parent sees that nothing
comes and kills the process; should the parent be gone, the alarm clock of the system does it.
"""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection

from cocon.core.errors import CoconError, UnreadableVideoError
from cocon.core.printable import in_one_line
from cocon.video.workers.messages import Message, send_message

__all__ = ["main"]

Job = Callable[[], Iterator[Message]]

_SIGN_OF_LIFE_S = 0.25
# Later than the parent's own deadline: the alarm is for orphans.
_ALARM_PER_DEADLINE, _ALARM_MARGIN_S = 1.5, 1.0


class _Line:
    """The connection to the parent; the alarm runs whenever it is not the parent that is waited for."""

    def __init__(self, connection: Connection, alarm_s: float) -> None:
        self._connection = connection
        self._alarm_s = alarm_s
        self._last_sent = time.monotonic()

    def send(self, message: Message) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)  # the parent takes messages when it likes
        send_message(self._connection, message)
        self._last_sent = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, self._alarm_s)

    def beat(self) -> None:
        """A frame was decoded: tell the parent now and then."""
        if time.monotonic() - self._last_sent > _SIGN_OF_LIFE_S:
            self.send(Message({"kind": "alive"}))

    def receive_job(self) -> Job:
        signal.setitimer(signal.ITIMER_REAL, 0)
        job, arguments, options = self._connection.recv()  # from the parent, whom we trust
        signal.setitimer(signal.ITIMER_REAL, self._alarm_s)
        return partial(job, self.beat, *arguments, **options)


def main() -> None:
    """Serve jobs on the connection whose file descriptor is the first argument; the second is the deadline."""
    descriptor, frame_timeout_s = int(sys.argv[1]), float(sys.argv[2])
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process without asking Python
    logging.basicConfig(level=logging.ERROR)
    _import_decoders()
    line = _Line(Connection(descriptor), max(frame_timeout_s * _ALARM_PER_DEADLINE, frame_timeout_s + _ALARM_MARGIN_S))
    try:
        line.send(Message({"kind": "ready"}))
        while True:
            line.send(_outcome(line, line.receive_job()))
            gc.collect()  # files that were opened hold themselves and their last pictures, 50 MB of one at 720 lines
    except (EOFError, OSError):  # the parent is gone
        os._exit(0)


def _import_decoders() -> None:
    """Have what every job needs, before there is one: a process that was prepared begins at once."""
    import av  # noqa: F401
    import cv2  # noqa: F401

    gc.freeze()


def _outcome(line: _Line, job: Job) -> Message:
    """Run a job, sending what it yields; its end or its error is the last message."""
    try:
        for message in job():
            line.send(Message({"kind": "item", "item": message.fields}, message.arrays))
    except CoconError as error:
        return Message({"kind": "error", "class": type(error).__name__, "message": str(error)})
    except ConnectionError:
        raise
    except Exception as error:  # whatever a decoder may raise on a hostile file
        logging.getLogger(__name__).exception("the job failed")
        reason = f"reading failed with {type(error).__name__}: {in_one_line(error)}"
        return Message({"kind": "error", "class": UnreadableVideoError.__name__, "message": reason})
    return Message({"kind": "end"})


if __name__ == "__main__":
    main()
