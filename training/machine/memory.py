"""Memory of a step kept for the next one, where the system would have it back every time."""

import ctypes
from contextlib import suppress

__all__ = ["keep_memory"]

# Of glibc's malloc.h: how many blocks may come straight from the system, what is kept at the end of the heap, and how
# much it grows by.
_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2
_KEPT_BYTES, _GROWTH_BYTES = (1 << 31) - 1, 64 << 20


def keep_memory() -> bool:
    """Have this process keep what it frees, whether it can: glibc alone is asked.

    A step frees gigabytes and asks for as much right after. Given back in between, every page is cleared by the system
    and mapped anew, which is a tenth of a step on one core. For a process that trains and does nothing else.
    """
    with suppress(OSError, AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        options = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _KEPT_BYTES, _TOP_PAD: _GROWTH_BYTES}
        return all(set_option(name, value) for name, value in options.items())
    return False
