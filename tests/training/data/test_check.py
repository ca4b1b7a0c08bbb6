"""The command `cocon data check`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.walking import assert_refused

_COCON = "from cocon.core.command import main; main()"
Outcome = tuple[int, str, str]
_FIELDS = {"video", "video_id", "content_sha256", "num_frames", "duration_seconds", "height", "width", "problems"}


def _check(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", _COCON, "data", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_sound_set_ends_with_zero_and_one_line(figures: Path) -> None:
    result = _check(figures, "--clip-seconds", "1")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{figures}: 12 of 12 videos are usable (360 frames, 12.0 s); no problems\n"


def test_warnings_are_listed_and_the_command_succeeds(figures_copy: Path) -> None:
    first, second = sorted((figures_copy / "videos").glob("*.mp4"))[:2]
    shutil.copy(first, second)
    result = _check(figures_copy)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("ShortVideo  ") == 12
    assert f"same content as '{first}'" in " ".join(result.stdout.split())
    assert result.stdout.endswith("1 DuplicateContent, 12 ShortVideo, 3 StaleView\n")


def test_broken_and_missing_videos_end_with_three(figures_copy: Path) -> None:
    first, second = sorted((figures_copy / "videos").glob("*.mp4"))[:2]
    first.write_bytes(b"no video")
    second.unlink()
    result = _check(figures_copy, "--clip-seconds", "1", "--format", "jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.returncode, len(rows)) == (3, 12)
    assert all(set(row) == _FIELDS for row in rows)
    found = {row["video"]: [problem["class"] for problem in row["problems"]] for row in rows}
    assert found[str(first)] == ["UnreadableVideoError", *["StaleView"] * 3]
    assert found[str(second)] == ["MissingFile"]
    assert result.stderr.startswith(f"{figures_copy}: 10 of 12 videos are usable")
    assert "Traceback" not in result.stderr


def test_rows_go_to_a_file_in_the_form_of_its_ending(figures: Path, tmp_path: Path) -> None:
    by_ending = {}
    for ending in ("json", "jsonl"):
        output = tmp_path / f"rows.{ending}"
        assert _check(figures, "--output", output).returncode == 0
        by_ending[ending] = output.read_text()
    assert json.loads(by_ending["json"]) == [json.loads(line) for line in by_ending["jsonl"].splitlines()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.json", "rows.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--format", "jsonl"], "--json and --format jsonl exclude each other"),
        (["--output", "rows.txt"], "no known ending"),
        (["--output", "rows.txt", "--format", "table"], "a table is for the terminal"),
        (["--limit", "max_hours=1"], "limit 'max_hours=1' must be NAME=NUMBER"),
    ],
)
def test_contradictions_are_one_line_and_end_with_two(figures: Path, arguments: list[str], message: str) -> None:
    assert_refused(_check(figures, *arguments), message)


def test_checking_loads_no_torch(figures: Path) -> None:
    program = f"""
import sys
from cocon.core.command import run
from cocon.training.data.cli import app
sys.argv = ["data", "check", {str(figures)!r}, "--json"]
try:
    run(app)
except SystemExit:
    print(sorted({{"torch", "onnxruntime"}} & set(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert result.stderr.splitlines()[-1] == "[]"
    assert len(json.loads(result.stdout)) == 12


def test_short_is_what_has_no_room_for_the_clip_of_a_preset_or_a_model(
    cocon: Callable[..., Outcome], figures: Path, trained: Path, tmp_path: Path
) -> None:
    short = "lasts 1.000 s, a clip"
    assert f"{short} 1.6 s" in cocon("data", "check", figures)[1]  # `figures`, as for training
    assert f"{short} 4 s" in cocon("data", "check", figures, "--config", "paper")[1]
    assert f"{short} 0.4 s" not in cocon("data", "check", figures, "--model", trained)[1]
    in_frames = cocon("data", "check", figures, "--set", "clip.step_frames=2", "--set", "clip.num_blocks=4")[1]
    assert "it has 30 frames, a clip spans 31" in in_frames
    assert "no problems" in cocon("data", "check", figures, "--set", "clip.step_frames=1")[1]
    code, _, said = cocon("data", "check", figures, "--model", tmp_path)
    assert (code, f"'{tmp_path}' is neither a run nor a model repository" in said) == (2, True)
    assert cocon("data", "check", figures, "--model", trained, "--set", "clip.num_blocks=4")[0] == 2
