"""The command `cocon views preview`: what it prints, its exit codes, and what it leaves alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

_COCON = "from cocon.core.command import main; main()"


@pytest.fixture
def video(tmp_path: Path, write_video: Callable[..., Path], numbered: Callable[..., list[np.ndarray]]) -> Path:
    return write_video(tmp_path / "grey.mp4", numbered(8), np.arange(8) / 8)


def _preview(*arguments: str | Path, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", _COCON, "views", "preview", *map(str, arguments)]
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def test_a_contact_sheet_is_written_and_named(video: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "views.PNG"
    result = _preview(video, "--output", output, "--rows", "2")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{output}\n", "")
    two = cv2.imread(str(output))
    assert two is not None
    assert _preview(video, "--output", output, "--rows", "3").returncode == 0
    three = cv2.imread(str(output))
    assert three is not None
    assert three.shape[1] == two.shape[1]
    assert three.shape[0] - two.shape[0] == 256 + 24 + 12
    assert [path.name for path in output.parent.iterdir()] == ["views.PNG"]


def test_without_mediapipe_the_install_line_is_told_once_and_the_rest_is_shown(video: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    reason = "No module named 'mediapipe'"
    (hidden / "mediapipe.py").write_text(f'raise ModuleNotFoundError("{reason}", name="mediapipe")\n')
    output = tmp_path / "views.png"
    result = _preview(video, "--output", output, path=hidden)
    assert (result.returncode, result.stdout) == (0, f"{output}\n")
    (warning,) = result.stderr.splitlines()
    assert warning.startswith("warning: views 'pose' and 'mask' need 'mediapipe'")
    assert "pip install 'cocon[people]'" in warning
    assert cv2.imread(str(output)) is not None


def test_a_cut_video_is_shown_as_far_as_it_decodes_with_a_warning(
    tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(60)]
    cut = write_video(tmp_path / "cut.mkv", noise, np.arange(60) / 25, container="matroska")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    result = _preview(cut, "--output", tmp_path / "views.png")
    assert result.returncode == 0
    assert result.stderr.startswith("warning: pictures are lost: ")
    assert result.stderr.count("\n") == 1
    assert cv2.imread(str(tmp_path / "views.png")) is not None


@pytest.mark.parametrize(
    ("name", "output", "options", "exit_code", "message"),
    [
        ("nope.mp4", "o.png", [], 2, "video '{}/nope.mp4' does not exist or is no file"),
        ("text.mp4", "o.png", [], 3, "video '{}/text.mp4' cannot be decoded: Invalid data"),
        ("text.mp4", "o.mp4", [], 3, "video '{}/text.mp4' cannot be decoded: Invalid data"),
        ("grey.mp4", "o.gif", [], 2, "--output '{}/o.gif' must end in .png or .mp4"),
        ("grey.mp4", "o", [], 2, "--output '{}/o' must end in .png or .mp4"),
        ("grey.mp4", "grey.mp4", [], 2, "--output '{}/grey.mp4' is the video itself; name another file"),
        ("grey.mp4", "folder.png", [], 2, "--output '{}/folder.png' is a folder; name a file"),
        ("grey.mp4", "text.mp4/o.png", [], 2, "--output '{0}/text.mp4/o.png' cannot be written into '{0}/text.mp4'"),
        ("grey.mp4", "o.png", ["--limit", "max_frames=3"], 3, "video '{}/grey.mp4' has 4 frames or more"),
        ("grey.mp4", "o.png", ["--limit", "max_cats=3"], 2, "limit 'max_cats=3' must be NAME=NUMBER"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    name: str, output: str, options: list[str], exit_code: int, message: str, video: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "folder.png").mkdir()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    result = _preview(tmp_path / name, "--output", tmp_path / output, *options)
    assert result.returncode == exit_code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {message.format(tmp_path)}")
    assert result.stderr.count("\n") == 1
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_help_has_an_example() -> None:
    result = _preview("--help")
    assert result.returncode == 0
    assert "cocon views preview video.mp4 --output views.png" in result.stdout
