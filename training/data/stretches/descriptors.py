"""How many files may be mapped at a time: each takes a descriptor, of which a process has a thousand unless it asks."""

from contextlib import suppress

__all__ = ["num_mappable_files"]

# For everything else that a training has open.
_OTHERS = 256
# Linux lets a process map 65530 files and parts of them (vm.max_map_count).
_ENOUGH = 1 << 15


def num_mappable_files() -> int:
    """So many, after the process's own limit was raised as far as the system allows it."""
    try:
        import resource
    except ImportError:  # no such limit here
        return _ENOUGH
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a system may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(0, (wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)) - _OTHERS)
