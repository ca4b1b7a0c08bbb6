"""The command `cocon views make`."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.video.store.files import stored_attributes
from tests.walking import assert_refused

_COCON = "from cocon.core.command import main; main()"
# What an import of a library that is not installed raises.
_WITHOUT_MEDIAPIPE = f"import sys; sys.modules['mediapipe'] = None; {_COCON}"


@pytest.fixture
def folder(tmp_path: Path, write_video: Callable[..., Path], square_at: Callable[..., np.ndarray]) -> Path:
    """`sound.mp4` of ten frames, and `broken.mp4`."""
    write_video(tmp_path / "sound.mp4", [square_at(10 + index, 20) for index in range(10)], np.arange(10) / 15)
    (tmp_path / "broken.mp4").write_bytes(b"")
    return tmp_path


def _make(*arguments: str | Path, program: str = _COCON) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, "views", "make", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_all_views_are_made_failures_told_and_the_code_is_three(folder: Path) -> None:
    result = _make(folder)
    assert result.returncode == 3
    assert (
        result.stdout
        == f"views of 2 videos in {folder}: 1 made, 0 were there, 1 failed; nobody was found in 1: 'sound.mp4'\n"
    )
    reason = "video 'broken.mp4' cannot be decoded: Invalid data found when processing input"
    assert result.stderr == f"failed: broken.mp4: {reason}\n"
    assert all((folder / "views" / view / "sound.mp4.npz").is_file() for view in ("flow", "pose", "mask"))
    again = _make(folder)
    assert again.returncode == 3
    assert (
        again.stdout
        == f"views of 2 videos in {folder}: 0 made, 1 were there, 1 failed; nobody was found in 1: 'sound.mp4'\n"
    )
    assert again.stderr == "1 failed before; --retry-failed tries again\n"


def test_options_reach_the_stored_flow_and_json_has_the_numbers(folder: Path) -> None:
    (folder / "broken.mp4").unlink()
    options = ["--flow-algorithm", "farneback", "--flow-interval-s", "0.2", "--flow-size-px", "32", "--json"]
    result = _make(folder, "--view", "flow", *options)
    assert (result.returncode, result.stderr) == (0, "")
    numbers = {"num_made": 1, "num_there": 0, "num_failed": 0, "num_failed_before": 0}
    assert json.loads(result.stdout) == {
        "folder": str(folder),
        **numbers,
        "num_truncated": 0,
        "num_nobody_found": 0,
        "nobody_found": [],
    }
    attributes = stored_attributes(folder, "flow", "sound.mp4")
    assert attributes is not None
    known = (attributes["flow_algorithm"], attributes["flow_interval_seconds"], attributes["flow_size_px"])
    assert known == ("farneback", 0.2, 32)
    assert sorted(path.name for path in (folder / "views").iterdir()) == ["flow", "writer.lock"]


def test_a_preset_says_which_views_and_what_flow_measures(folder: Path) -> None:
    (folder / "broken.mp4").unlink()
    settings = ["--set", "views=['rgb', 'flow']", "--set", "flow.interval_seconds=0.2"]
    result = _make(folder, "--preset", "figures", *settings, "--flow-algorithm", "farneback")
    assert (result.returncode, result.stderr) == (0, "")
    attributes = stored_attributes(folder, "flow", "sound.mp4")
    assert attributes is not None
    known = (attributes["flow_algorithm"], attributes["flow_interval_seconds"], attributes["flow_size_px"])
    assert known == ("farneback", 0.2, 64)  # of the option, the setting and the preset
    assert sorted(path.name for path in (folder / "views").iterdir()) == ["flow", "writer.lock"]


def test_a_run_says_which_views_and_what_flow_measures(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.mp4").unlink()
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "config.toml").write_text("views = ['flow']\n[flow]\nsize_px = 40\n")
    result = _make(folder, "--model", tmp_path / ".run")
    assert (result.returncode, result.stderr) == (0, "")
    attributes = stored_attributes(folder, "flow", "sound.mp4")
    assert attributes is not None
    assert attributes["flow_size_px"] == 40


def test_a_missing_people_extra_is_told_once_with_the_line_that_installs_it(folder: Path) -> None:
    result = _make(folder, program=_WITHOUT_MEDIAPIPE)
    assert (result.returncode, result.stdout) == (2, "")
    assert "pip install 'cocon[people]'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "views").exists()


def test_no_people_extra_is_needed_for_flow_and_ones_own_key_points(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / ".own"
    own.mkdir()
    points = [{"image_id": frame, "keypoints": [9.0, 9.0, 1.0] * 17} for frame in range(10)]
    (own / "sound.json").write_text(json.dumps(points))
    (folder / "broken.mp4").unlink()
    result = _make(folder, "--view", "flow,pose", "--pose", own, program=_WITHOUT_MEDIAPIPE)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--view", "heat"], "view 'heat' is unknown"),
        (["--view", "rgb"], "view 'rgb' is decoded, not stored; views that can be made: flow, pose, mask"),
        (["--flow-size-px", "8"], "flow.size_px (8) must be at least 16"),
        (["--flow-interval-s", "-1"], "flow.interval_seconds (-1.0) must be positive"),
        (["--limit", "max_frames=many"], "limit 'max_frames=many' needs a number"),
        (
            ["--preset", "peopl"],
            "auto, demo, paper, people; did you mean 'people'?",
        ),
        (["--preset", "figures", "--model", "."], "leave --preset, --method and --set out"),
        (["--model", "."], "'.' is neither a run nor a model repository"),
        (["--preset", "figures", "--set", "views=['rgb']"], "rgb is all that it takes, which is decoded"),
        (["--preset", "figures", "--set", "views=['depth']"], "view 'depth' has no estimator; bring your own"),
        (["--mask", "nowhere"], "--mask 'nowhere' does not exist or is no folder"),
        (["--view", "depth"], "view 'depth' has no estimator; bring your own: --depth FOLDER"),
        (["--depth-range", "1", "2"], "--depth-range is given without --depth FOLDER"),
        (["--depth", ".", "--depth-range", "9", "5"], "--depth-range 9 5: the near end must be less than the far end"),
        (["--depth", ".", "--depth-range", "0", "inf"], "--depth-range 0 inf: the near end must be less than the far"),
    ],
)
def test_wrong_arguments_are_one_line_and_end_with_two(folder: Path, arguments: list[str], message: str) -> None:
    assert_refused(_make(folder, *arguments), message)
    assert not (folder / "views").exists()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    result = _make(tmp_path / "gone")
    assert result.returncode == 2
    assert "gone' does not exist" in result.stderr


def test_failed_videos_are_tried_again_alone(folder: Path) -> None:
    assert _make(folder, "--view", "flow").returncode == 3
    stored = folder / "views" / "flow" / "sound.mp4.npz"
    before = stored.stat().st_mtime_ns
    result = _make(folder, "--view", "flow", "--retry-failed")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert result.stderr.startswith("failed: broken.mp4: ")
    assert stored.stat().st_mtime_ns == before


def test_a_disk_that_is_full_is_one_line(folder: Path) -> None:
    (folder / "broken.mp4").unlink()
    program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); {_COCON}"
    result = _make(folder, "--view", "flow", program=program)
    assert (result.returncode, result.stdout) == (1, "")
    reason = "File too large; files may not be larger here, see 'ulimit -f'"
    assert result.stderr == f"error: views folder '{folder / 'views'}' cannot be written: {reason}\n"
    assert not list((folder / "views" / "flow").glob("*"))
    assert _make(folder, "--view", "flow").stdout == f"views of 1 videos in {folder}: 1 made, 0 were there, 0 failed\n"


@pytest.mark.parametrize("command", [["views", "make", "--view", "flow"], ["data", "check"]])
def test_folders_whose_names_are_no_text_are_told_also_to_a_strict_terminal(folder: Path, command: list[str]) -> None:
    odd = folder / "odd\udcff"
    odd.mkdir()
    (folder / "sound.mp4").rename(odd / "sound\udcfe.mp4")
    (folder / "broken.mp4").rename(odd / "broken\udcfd.mp4")
    line = [sys.executable, "-c", _COCON, *command, str(odd)]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    result = subprocess.run(line, capture_output=True, text=True, timeout=300, env=strict)
    assert result.returncode == 3, result.stderr
    assert "odd\\xff" in result.stdout
    assert "broken\\xfd.mp4" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
