"""The lock of a folder: one writer, and nothing of it is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.core.folder_lock import LOCK_FILE, folder_lock, writer_of
from tests.disks import full_disk, unwritable

_HOLD = """
import sys, time
from pathlib import Path
from cocon.core.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1]), "store"):
    print("held", flush=True)
    time.sleep(3600)
"""


def test_second_writer_is_told_what_is_locked_and_by_whom(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path, "index"),
        pytest.raises(UsageError, match=f"^index '{tmp_path}' is being written by process {os.getpid()}; try again"),
        folder_lock(tmp_path, "index"),
    ):
        pass


def test_a_folder_is_free_after_its_writer_and_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), folder_lock(tmp_path, "index"):
            raise ZeroDivisionError
    assert (tmp_path / "writer.lock").read_bytes() == b""


_FORK = """
import multiprocessing, os, sys, time
from pathlib import Path
from cocon.core.folder_lock import LOCK_FILE, folder_lock, writer_of

def live_on():
    print(os.getpid(), flush=True)  # only now has the fork let go
    time.sleep(20)

with folder_lock(Path(sys.argv[1]), "store"):
    print("held", flush=True)
    multiprocessing.get_context("fork").Process(target=live_on).start()
    time.sleep(3600)
"""


def test_a_killed_writers_children_hold_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FORK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        child = int(holder.stdout.readline())
        holder.kill()
        holder.wait()
        try:
            with folder_lock(tmp_path, "store"):
                os.kill(child, 0)  # it lives on
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_killed_writer_lets_go(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=rf"^store .* process {holder.pid};"), folder_lock(tmp_path, "store"):
            pass
        holder.send_signal(signal.SIGKILL)
    with folder_lock(tmp_path, "store"):
        assert (tmp_path / "writer.lock").read_text() == f" {os.getpid()}"


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    with (
        unwritable(tmp_path),
        pytest.raises(UsageError, match=f"^index '{tmp_path}' cannot be written: Permission denied$"),
        folder_lock(tmp_path, "index"),
    ):
        pass


def test_a_full_disk_keeps_nobody_from_making_room(tmp_path: Path) -> None:
    with full_disk(), folder_lock(tmp_path, "index"):
        pass


def test_a_writer_that_ended_is_none(tmp_path: Path) -> None:
    assert writer_of(tmp_path) == ""
    with folder_lock(tmp_path, "index"):
        assert writer_of(tmp_path) == str(os.getpid())
    assert writer_of(tmp_path) == ""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / LOCK_FILE).write_text(f" {ended.pid}")
    assert writer_of(tmp_path) == ""
