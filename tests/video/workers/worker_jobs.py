"""Jobs for worker processes, good and bad."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np

from cocon.core.errors import NoVideoStreamError
from cocon.video.workers.messages import Message

Beat = Callable[[], None]


def count(beat: Beat, number: int, *, step: int = 1) -> Iterator[Message]:
    for index in range(0, number, step):
        yield Message({"index": index, "process": os.getpid()}, {"square": np.array([[index**2]], np.float32)})


def give_large(beat: Beat, size: int) -> Iterator[Message]:
    yield Message({"text": "ä"}, {"ramp": np.arange(size, dtype=np.int64), "none": np.zeros((0, 3), np.uint8)})


def give_large_twice(beat: Beat, size: int) -> Iterator[Message]:
    yield from give_large(beat, size)
    yield from give_large(beat, size)


def work_long_with_signs_of_life(beat: Beat, seconds: float) -> Iterator[Message]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
        beat()
    yield Message({"done": True})


def hang(beat: Beat) -> Iterator[Message]:
    yield Message({"process": os.getpid()})
    time.sleep(3600)


def hang_and_keep_the_lock(beat: Beat) -> Iterator[Message]:
    """Hang as a C library does that never lets Python run again."""
    yield Message({"process": os.getpid()})
    ctypes.PyDLL(None).sleep(3600)


def die(beat: Beat, number: int) -> Iterator[Message]:
    yield Message({"process": os.getpid()})
    os.kill(os.getpid(), number)
    signal.pause()


def leave(beat: Beat) -> Iterator[Message]:
    os._exit(7)
    yield Message()


def refuse(beat: Beat) -> Iterator[Message]:
    raise NoVideoStreamError("'x.mp3' has no video stream")
    yield Message()


def stumble(beat: Beat) -> Iterator[Message]:
    yield Message({"index": 0})
    raise ZeroDivisionError("no frames")


def scribble(beat: Beat) -> Iterator[Message]:
    print("on stdout")  # noqa: T201  # it is what is tested
    os.write(2, b"on stderr\n")
    yield Message({"done": True})
