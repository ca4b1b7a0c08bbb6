"""What a measurement has taken of processors: of this process, and of others that work for it."""

import time
from collections.abc import Iterable

import psutil

__all__ = ["processor_seconds"]


def processor_seconds(others: Iterable[psutil.Process]) -> float:
    """Seconds of processors that this process and the others have taken so far."""
    times = [process.cpu_times() for process in others]
    return sum(each.user + each.system for each in times) + time.process_time()
