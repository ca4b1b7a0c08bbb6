"""Processes named by pid and start time, so that a recycled pid is never signalled."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

__all__ = ["ProcessIdentity", "end_group", "group_members", "running_commands"]

_POLL_INTERVAL_S = 0.02
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, told apart from a later one that got the same pid.

    Attributes:
        pid: Process id.
        start_ticks: When the kernel started it, in clock ticks since boot.
    """

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Identify a running process; None when there is none, or it has ended and only waits to be reaped."""
        try:
            process = psutil.Process(pid)
            if process.status() in _ENDED:
                return None
            # Its time of day, which psutil makes of the ticks, moves when the clock is set.
            seconds = process.create_time() - psutil.boot_time()
        except psutil.NoSuchProcess:
            return None
        return cls(pid, round(seconds * _TICKS_PER_S))

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def send(self, signal_number: signal.Signals) -> None:
        """Signal this very process; nothing happens when it has ended."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)


def group_members(leader: ProcessIdentity) -> list[ProcessIdentity]:
    """The running processes of the group a process leads or, if it has ended, led."""
    # The kernel does not give the pid away while its group has members, so a new owner means that they are gone.
    if ProcessIdentity.of(leader.pid) not in (None, leader):
        return []
    members = (ProcessIdentity.of(pid) for pid in psutil.pids() if _group(pid) == leader.pid)
    return [member for member in members if member is not None]


def end_group(leader: ProcessIdentity, *, timeout_s: float) -> None:
    """End a process and every member of the group it leads: ask the leader first, then kill what is left.

    Members are ended even when the leader is gone already: Triton's workers survive a server that crashes.

    Args:
        leader: The group's leader; its pid is the group's id.
        timeout_s: How long the leader may take to stop by itself, in seconds.
    """
    members = group_members(leader)
    leader.send(signal.SIGTERM)
    _wait_until_gone([leader], timeout_s=timeout_s)
    leader.send(signal.SIGKILL)
    # A worker whose server has just ended is on its way out.
    _wait_until_gone(members, timeout_s=1.0)
    for member in members:
        member.send(signal.SIGKILL)
    _wait_until_gone(members, timeout_s=5.0)


def running_commands(name: str) -> Iterator[tuple[ProcessIdentity, list[str]]]:
    """The processes of this user whose program has a name, each with its command."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            if command and Path(command[0]).name == name and process.uids().effective == os.geteuid():
                identity = ProcessIdentity.of(process.pid)
                if identity is not None:
                    yield identity, command


def _wait_until_gone(processes: Sequence[ProcessIdentity], *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_S)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
