"""Interrupting `cocon views make`: killed at any moment, or told to stop."""

import io
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

_COCON = "from cocon.core.command import main; main()"
NUM_VIDEOS, NUM_FRAMES = 6, 10


@pytest.fixture(scope="module")
def source(
    tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path], walking_person: list[np.ndarray]
) -> Path:
    """Six short videos of a person, and two files that are none."""
    folder = tmp_path_factory.mktemp("source")
    for index in range(NUM_VIDEOS):
        pictures = walking_person[index : index + NUM_FRAMES]
        write_video(folder / f"{index}.mp4", pictures, np.arange(NUM_FRAMES) / 25)
    (folder / "0 broken.mp4").write_bytes(b"")
    (folder / "5 broken.avi").write_bytes(b"no video")
    return folder


@pytest.fixture
def make_folder(tmp_path: Path, source: Path) -> Callable[[str], Path]:
    """`make_folder(name)`: a folder with copies of them: what is compared must not depend on an encoder."""
    return lambda name: Path(shutil.copytree(source, tmp_path / name))


def _start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _COCON, "views", "make", str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(folder: Path) -> str:
    with _start(folder, "--workers", "2") as process:
        output, errors = process.communicate(timeout=600)
    assert process.returncode == 3, errors
    assert "Traceback" not in errors
    return output


def _files(folder: Path) -> dict[str, bytes]:
    views = folder / "views"
    found = {path.relative_to(views).as_posix(): path.read_bytes() for path in views.rglob("*") if path.is_file()}
    return found | {"writer.lock": b""}  # has a process in it


def _finished(folder: Path) -> dict[str, tuple[int, int]]:
    """Stored views with what changes when a file is written: its number and its time."""
    found = [path for path in (folder / "views").rglob("*.npz") if not path.name.startswith(".")]
    return {f"{path.parent.name}/{path.name}": (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def _difference(found: bytes, expected: bytes) -> str:
    """What two stored views differ in: arrays, with the number of their values that do."""
    if found == expected:
        return ""
    ours, theirs = np.load(io.BytesIO(found)), np.load(io.BytesIO(expected))
    differing = {name: int(np.sum(ours[name] != theirs[name])) for name in theirs.files}
    return f"of {theirs['meta']} differ {differing}"


def _kill_after(folder: Path, seconds: float) -> bool:
    """Whether the run was still going on when it was killed."""
    with _start(folder, "--workers", "2") as process:
        time.sleep(seconds)
        process.kill()
        process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(make_folder: Callable[[str], Path], kills: int) -> None:
    whole, folder = make_folder("whole"), make_folder("killed")
    began = time.monotonic()
    output = _finish(whole)
    run_seconds = time.monotonic() - began
    assert output == f"views of 8 videos in {whole}: 6 made, 0 were there, 2 failed\n"
    expected = _files(whole)
    assert len(expected) == NUM_VIDEOS * 3 + 2

    rng, num_kills = np.random.default_rng(7), 0
    finished: dict[str, tuple[int, int]] = {}
    while num_kills < kills:
        num_kills += _kill_after(folder, rng.uniform(0, run_seconds))
        now = _finished(folder)
        assert {name: now[name] for name in finished} == finished
        assert [_difference((folder / "views" / name).read_bytes(), expected[name]) for name in now] == [""] * len(now)
        finished = now
        if len(finished) == NUM_VIDEOS * 3 and num_kills < kills:  # nothing left that a kill could disturb
            finished = {}
            for name in now:
                (folder / "views" / name).unlink()
    assert "2 failed" in _finish(folder)
    assert {name: state for name, state in _finished(folder).items() if name in finished} == finished
    assert _files(folder) == expected


def test_ctrl_c_ends_it_with_130_and_leaves_neither_workers_nor_halves(make_folder: Callable[[str], Path]) -> None:
    folder = make_folder("stopped")
    with _start(folder, "--workers", "1") as process:
        while not _finished(folder):
            assert process.poll() is None
            time.sleep(0.02)
        tasks = Path(f"/proc/{process.pid}/task")
        workers = [child for children in tasks.glob("*/children") for child in children.read_text().split()]
        assert workers
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    finished = _finished(folder)
    assert 0 < len(finished) < NUM_VIDEOS * 3
    assert set(_files(folder)) - set(finished) <= {"writer.lock", "failures.jsonl"}
    _finish(folder)
    assert len(_finished(folder)) == NUM_VIDEOS * 3
    assert {name: state for name, state in _finished(folder).items() if name in finished} == finished
