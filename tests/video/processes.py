"""Child processes and memory, as the kernel tells them."""

import os
from pathlib import Path

__all__ = ["children_of", "family_resident_bytes", "resident_bytes"]


def children_of(process: int) -> set[int]:
    """Processes started by this one that are not ended, at any depth."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()  # state, parent, ...
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found, ahead = set[int](), {process}
    while ahead:
        ahead = {child for child, parent in parents.items() if parent in ahead} - found
        found |= ahead
    return found


def resident_bytes(process: int, *, field: str = "VmRSS") -> int:
    """Memory of a process that is in use now (`VmRSS`), or was at its most (`VmHWM`); 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:")), 0)


def family_resident_bytes() -> int:
    """Of this process and all that it started, now."""
    return sum(resident_bytes(process) for process in {os.getpid()} | children_of(os.getpid()))
