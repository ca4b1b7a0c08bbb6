"""Threads of a training: as many as this process has cores, and who else trains on them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import torch

from cocon.video.workers.cores import allowed_cores, num_cores, told_threads

__all__ = ["crowd", "trainings_beside", "use_threads"]

_PROC = Path("/proc")


def use_threads() -> int:
    """Have PyTorch and OpenCV compute with so many threads as `--threads` says, or this process has cores; how many."""
    count = told_threads() or min(torch.get_num_threads(), num_cores())
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    return count


def crowd(num_threads: int) -> str:
    """What to say where other trainings want the same cores; empty where there is room, and under torchrun."""
    others = [] if int(os.environ.get("WORLD_SIZE", "1")) > 1 else trainings_beside()
    cores = allowed_cores()
    if not others or num_threads * (1 + len(others)) <= cores:
        return ""
    which = "another training runs" if len(others) == 1 else f"{len(others)} other trainings run"
    each = max(1, cores // (1 + len(others)))
    return (
        f"{which} on this machine (process {', '.join(map(str, others))}), and this one has {num_threads} threads on "
        f"{cores} cores: where threads wait for each other all are slower; --threads {each} for each is best"
    )


def trainings_beside() -> list[int]:
    """Processes of other `cocon train` commands on this machine, as far as it shows them, without their children."""
    own = set(_ancestry(os.getpid()))
    found = {number for number, words in _commands() if _is_training(words)}
    return sorted(number for number in found - own if _parent(number) not in found)


def _commands() -> Iterator[tuple[int, list[str]]]:
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            yield int(folder.name), os.fsdecode((folder / "cmdline").read_bytes()).split("\0")


def _is_training(words: list[str]) -> bool:
    """Whether it is the command itself, and not one that started it, such as `timeout` or `ssh`."""
    names = [Path(word).name for word in words[:3]]
    if names[0].startswith("python"):  # which a script's first line names
        del names[0]
    return names[:2] == ["cocon", "train"]


def _ancestry(process: int) -> Iterator[int]:
    """The process, what started it, and so on."""
    while process:
        yield process
        process = _parent(process)


def _parent(process: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        # After the name in parentheses, which may hold anything: state, then the parent.
        return int((_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0
