"""Threads of a training are those that were asked for, and who else trains is seen."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cocon.training.config.run import Config
from cocon.training.machine.threads import crowd, trainings_beside
from cocon.video.workers.cores import allowed_cores

MakeConfig = Callable[..., Config]

# The command, and then what it has left behind in its process.
COCON = """
import os, sys
from cocon.core.command import main
try:
    main()
finally:
    import cv2, torch
    from cocon.video.workers.cores import num_cores
    print(torch.get_num_threads(), cv2.getNumThreads(), num_cores(), os.environ.get("OMP_NUM_THREADS"))
"""
OF_OTHERS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM", "COCON_THREADS")


def _threads(config: Config, run: Path, *more: str, **environment: str) -> str:
    """What a command that finds a complete run has left, in its last line."""
    (run.parent / "config.toml").write_text(config.to_toml())
    command = [sys.executable, "-c", COCON, "train", "--config", str(run.parent / "config.toml"), "--output", str(run)]
    clean = {name: value for name, value in os.environ.items() if name not in OF_OTHERS}
    return subprocess.check_output([*command, *more], text=True, env=clean | environment).splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        (("--threads", "3"), {"OMP_NUM_THREADS": "2"}, "3 3 3 3"),
        ((), {"OMP_NUM_THREADS": "1"}, f"1 1 {len(os.sched_getaffinity(0))} 1"),
    ],
)
def test_a_training_computes_with_as_many_threads_as_it_is_told(
    options: tuple[str, ...], environment: dict[str, str], expected: str, trained_copy: Path, tiny_config: MakeConfig
) -> None:
    assert _threads(tiny_config(), trained_copy, *options, **environment) == expected


def test_no_threads_at_all_are_refused(trained_copy: Path) -> None:
    command = [sys.executable, "-c", COCON, "train", "--output", str(trained_copy), "--threads", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "--threads" in ended.stderr


@contextmanager
def _process(*words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called so, by Python, and does nothing."""
    process = subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def cocon(tmp_path: Path) -> Path:
    """A command of that name which waits, as `timeout`, `uv run` or `ssh` do, too."""
    command = tmp_path / "some one" / "cocon"
    command.parent.mkdir()
    command.write_text("import sys; sys.stdin.read()")
    return command


def test_other_trainings_are_seen_and_told_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch, cocon: Path) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    cores = allowed_cores()
    with _process(cocon, "train", "--seed", "1") as training, _process(cocon, "evaluate"):
        assert training.pid in trainings_beside()
        told = crowd(cores)
        assert re.search(rf"trainings? runs? on this machine \(process [\d, ]*{training.pid}", told)
        assert f"this one has {cores} threads on {cores} cores" in told and "; --threads " in told
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert crowd(cores) == ""
    monkeypatch.delenv("WORLD_SIZE")
    assert training.pid not in trainings_beside()


def test_what_has_started_a_training_is_none(cocon: Path) -> None:
    waits = cocon.with_name("timeout")
    waits.write_text(cocon.read_text())
    with (
        _process(waits, "300", cocon, "train") as timed,
        _process("-c", cocon.read_text(), "run", "cocon", "train") as run,
    ):
        assert not {timed.pid, run.pid} & set(trainings_beside())
    code = "from cocon.training.machine.threads import trainings_beside; print(*trainings_beside())"
    cocon.write_text(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)")
    with subprocess.Popen([sys.executable, cocon, "train"], stdout=subprocess.PIPE, text=True) as training:
        said, _ = training.communicate(timeout=120)
    assert training.returncode == 0
    assert str(training.pid) not in said.split()
