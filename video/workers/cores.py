"""How many cores this process may use: those that it may run on, as far as its container has time, or as told."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.options import MAX_THREADS, THREADS_VARIABLE
from cocon.core.printable import printable

__all__ = ["allowed_cores", "cgroup_quotas", "num_cores", "told_threads"]

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def num_cores() -> int:
    """Cores that this process may use; what `--threads` says, where it is given; raises like `told_threads`."""
    return told_threads() or allowed_cores()


def allowed_cores() -> int:
    """Cores that this process may use, whatever it is told."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(int, cgroup_quotas(_PROC / "self" / "cgroup", _CGROUPS))]))


def told_threads() -> int | None:
    """What `--threads`, or the variable in its place, says; None where nobody has said.

    Raises:
        UsageError: more than any machine has.
    """
    told = os.environ.get(THREADS_VARIABLE, "")
    if not (told.isascii() and told.isdigit()):
        return None
    digits = told.lstrip("0")
    if len(digits) > len(str(MAX_THREADS)) or int(digits or 0) > MAX_THREADS:
        raise UsageError(f"{THREADS_VARIABLE} is {printable(told[:20])}; it must be at most {MAX_THREADS}, lower it")
    return max(1, int(digits or 0))


def cgroup_quotas(of_process: Path, root: Path) -> Iterator[float]:
    """Cores' worth of time that the control groups of a process grant, version 1 or 2, each group and those above it.

    Args:
        of_process: `/proc/<process>/cgroup`.
        root: where control groups are mounted.
    """
    lines = _text(of_process).splitlines()
    for _number, controllers, group in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / controllers if controllers else root
        inner = Path(group.lstrip("/"))
        for place in [mount / inner, *(mount / above for above in inner.parents)]:
            quota, _, period = _text(place / "cpu.max").strip().partition(" ")
            if controllers:
                quota, period = (_text(place / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
            if quota.isdigit() and period.isdigit() and int(quota) and int(period):
                yield int(quota) / int(period)


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""
