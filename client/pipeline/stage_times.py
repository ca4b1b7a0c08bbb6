"""How long the stages of some work take, summed over threads and processes.

    times = StageTimes()
    with times.thread("fuse"):
        ...
    times.add("decode", 1.25)       # what another process has told
    times.seconds                   # {"fuse": 0.01, "decode": 1.25}

`stage_profile` says which stages there are.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["StageTimes"]


class StageTimes:
    """Seconds by the name of a stage. Safe for several threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, stage: str, seconds: float) -> None:
        """So much more was spent on a stage."""
        with self._lock:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def thread(self, stage: str) -> Iterator[None]:
        """Count the processor time that this thread takes within the block."""
        begin = time.thread_time()
        try:
            yield
        finally:
            self.add(stage, time.thread_time() - begin)
