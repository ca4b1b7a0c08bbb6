"""Work on untrusted media in processes of its own, under a deadline.

A decoder that hangs, dies or eats memory takes down its file, not the program. A job is a generator function that
yields messages; its first argument is the sign of life that it gives for every frame:

    def brightness(beat, path):
        for seconds, pixels in read_frames(path, on_frame=beat):
            yield Message({"seconds": seconds, "mean": float(pixels.mean())})

    with WorkerPool() as pool:
        for message in pool.run(brightness, Path("video.mp4")): ...

Jobs run at the same time when they are asked for from several threads; each has a process, which stays for the next.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import cocon.core.errors
from cocon.core.closing import Closing
from cocon.core.errors import CoconError, TimedOutError, UnreadableVideoError, VideoError, WorkerDiedError
from cocon.core.printable import printable
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.messages import Message, receive_message

__all__ = ["Beat", "WorkerPool", "named"]

P = ParamSpec("P")
Beat = Callable[[], None]

_START_TIMEOUT_S = 120.0
# Decoders leak a little with every file.
_MAX_JOBS = 200
_LEAST_BYTES_PER_S = 10 << 20
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")


class _Worker:
    """One worker process."""

    def __init__(self, frame_timeout_s: float, niceness: int) -> None:
        self._frame_timeout_s = frame_timeout_s
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            # -P: a module lying beside the videos must not be imported.
            [sys.executable, "-P", "-m", "cocon.video.workers.worker_main", str(theirs.fileno()), str(frame_timeout_s)],
            pass_fds=[theirs.fileno()],
            env=os.environ | _ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("COCON_DEBUG") else subprocess.DEVNULL,  # decoders write what they like
            start_new_session=True,  # Ctrl-C is the parent's business
        )
        theirs.close()
        if niceness:  # now, so that its threads, which are yet to come, have it too
            os.setpriority(os.PRIO_PROCESS, self._process.pid, niceness)
        self._is_ready = False
        self.num_jobs = 0
        self.is_idle = True

    def run(self, job: Callable[..., Iterator[Message]], *arguments: Any, **options: Any) -> Iterator[Message]:  # noqa: ANN401  # the job's own
        self.is_idle = False
        self.num_jobs += 1
        if not self._is_ready:
            self._receive(_START_TIMEOUT_S)
            self._is_ready = True
        self._send((job, arguments, options))
        while True:
            message = self._receive(self._frame_timeout_s)
            match message.fields.get("kind"):
                case "item":
                    yield Message(message.fields["item"], message.arrays)
                case "end":
                    self.is_idle = True
                    return
                case "error":
                    self.is_idle = True
                    raise _error(message)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process, whatever it does. The connection is left open: a thread may be waiting on it."""
        self._process.kill()
        self._process.wait()

    def _send(self, job: tuple[object, ...]) -> None:
        try:
            self._connection.send(job)
        except OSError as error:
            raise self._died() from error

    def _receive(self, timeout_s: float) -> Message:
        watch = _Watch(self._process.kill, timeout_s)
        try:
            if not self._connection.poll(timeout_s):
                raise _late(timeout_s)
            watch.allow(0)
            return receive_message(self._connection, on_size=watch.allow)
        except (EOFError, OSError, ValueError, KeyError, TypeError) as error:
            raise (_late(timeout_s) if watch.has_struck else self._died()) from error
        finally:
            watch.end()

    def _died(self) -> WorkerDiedError:
        self._process.kill()
        return WorkerDiedError(f"the decoder {_death(self._process.wait())}")


class _Watch:
    """Ends a process that stops in the midst of a message, where nobody can wait for it with a deadline."""

    def __init__(self, kill: Callable[[], None], timeout_s: float) -> None:
        self._kill, self._timeout_s = kill, timeout_s
        self._timer: threading.Timer | None = None
        self.has_struck = False

    def allow(self, num_bytes: int) -> None:
        """From now on, the deadline and the time that a slow machine takes for that many bytes."""
        self.end()
        seconds = min(self._timeout_s + num_bytes / _LEAST_BYTES_PER_S, threading.TIMEOUT_MAX)
        self._timer = threading.Timer(seconds, self._strike)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """The message is there."""
        if self._timer:
            self._timer.cancel()

    def _strike(self) -> None:
        self.has_struck = True
        self._kill()


class WorkerPool(Closing):
    """Worker processes, started as they are needed. A context manager; safe for several threads.

    Args:
        limits: its `frame_timeout_s` is the deadline of every job.
        niceness: of the processes, where they are to give way to others; the system's own number.
    """

    def __init__(self, limits: MediaLimits | None = None, *, niceness: int = 0) -> None:
        self._niceness = niceness
        self._frame_timeout_s = (limits or MediaLimits()).frame_timeout_s
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Start a process for the first job that comes, while something else is done."""
        with self._lock:
            if not self._idle:
                self._idle.append(_Worker(self._frame_timeout_s, self._niceness))

    def run(
        self, job: Callable[Concatenate[Beat, P], Iterator[Message]], *arguments: P.args, **options: P.kwargs
    ) -> Iterator[Message]:
        """Run a job in a process; one is started if none is idle.

        Args:
            job: function of a module (it is looked up by name), called with a sign of life and the arguments.
            *arguments: for the job; they are pickled.
            **options: likewise.

        Yields:
            What the job yields.

        Raises:
            TimedOutError: no message and no sign of life for `frame_timeout_s`.
            WorkerDiedError: the process died.
            UnreadableVideoError: the job raised what it must not.
            CoconError: the job raised it.
        """
        worker = self._borrow()
        try:
            yield from worker.run(job, *arguments, **options)
        finally:
            self._give_back(worker)

    def close(self) -> None:
        """Stop all processes, also busy ones."""
        with self._lock:
            workers = [*self._idle, *self._busy]
            self._idle.clear()
            self._busy.clear()
        for worker in workers:
            worker.stop()

    def _borrow(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive:  # it may have died of what a decoder left behind
                    break
                worker.stop()
            else:
                worker = _Worker(self._frame_timeout_s, self._niceness)
            self._busy.add(worker)
            return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            is_ours = worker in self._busy  # not after `close`
            self._busy.discard(worker)
            if is_ours and worker.is_idle and worker.num_jobs < _MAX_JOBS:
                self._idle.append(worker)
                return
        worker.stop()


def named(messages: Iterator[Message], video: Path) -> Iterator[Message]:
    """The same messages; an error that does not say which video it is about is made to, in a form to be printed."""
    try:
        yield from messages
    except VideoError as error:
        shown = printable(video)
        reason = str(error).replace(str(video), shown)
        raise type(error)(reason if shown in reason else f"video '{shown}': {reason}") from error


def _error(message: Message) -> CoconError:
    kind = getattr(cocon.core.errors, str(message.fields.get("class")), None)
    text = str(message.fields.get("message"))
    return kind(text) if isinstance(kind, type) and issubclass(kind, CoconError) else UnreadableVideoError(text)


def _late(timeout_s: float) -> TimedOutError:
    return TimedOutError(f"the decoder gave no new frame for {timeout_s:g} s and was stopped")


def _death(exit_code: int) -> str:
    if exit_code >= 0:
        return f"process ended with exit code {exit_code}"
    return f"process died of {signal.Signals(-exit_code).name}"
