"""Jobs end well, badly, when asked, and with their parent."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from cocon.core.errors import CoconError, UsageError
from cocon.training.config.files import load_config
from cocon.training.reproduce.processes import Job

DEADLINE_S = 300.0

_PARENT = """
import os, signal, time
from functools import partial
from cocon.training.reproduce.processes import Job

if __name__ == "__main__":
    job = Job("sleeper", partial(time.sleep, 600))
    print(job._process.pid, flush=True)
    time.sleep(600)
"""


def _ended(job: Job) -> bool:
    assert wait([job.sentinel], timeout=DEADLINE_S)
    return job.is_done()


def test_a_job_that_ends_well_is_done() -> None:
    assert _ended(Job("a rest", partial(time.sleep, 0)))


def test_an_error_comes_back_with_the_name_of_its_job() -> None:
    with pytest.raises(UsageError, match="run 'a': preset 'figurs' is unknown"):
        _ended(Job("run 'a'", partial(load_config, "figurs")))


def test_a_job_that_dies_is_said_with_a_remedy() -> None:
    with pytest.raises(CoconError, match=r"run 'a' ended with exit code -6 .*the same command goes on"):
        _ended(Job("run 'a'", os.abort))


def test_a_job_that_is_stopped_has_ended() -> None:
    job = Job("sleeper", partial(time.sleep, 600))
    job.stop()
    assert wait([job.sentinel], timeout=0)


def test_a_job_does_not_outlive_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    job = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + DEADLINE_S
    while _is_running(job):
        assert time.monotonic() < deadline, "the job goes on without its parent"
        time.sleep(0.1)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
