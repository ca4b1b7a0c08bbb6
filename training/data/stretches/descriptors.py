"""How many files may be mapped at a time: each takes a descriptor, of which a process has a thousand unless it asks."""

from contextlib import suppress

__all__ = ["num_mappable_files"]

# For everything else that a training has open.
_OTHERS = 256
# Where the system names no limit.
_ENOUGH = 1 << 16


def num_mappable_files() -> int:
    """So many, after the process's own limit was raised to what the system allows it."""
    try:
        import resource
    except ImportError:  # no such limit here
        return _ENOUGH
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a system may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(0, (wanted if soft == resource.RLIM_INFINITY else soft) - _OTHERS)
