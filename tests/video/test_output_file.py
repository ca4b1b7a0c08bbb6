"""What an output must not be: an input by any name, a video of the user's, a place that cannot be written."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import UsageError
from cocon.video.output_file import check_different, check_no_input, check_output
from cocon.video.pictures.encode import write_mp4


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.MOV", "list.txt", "old.jsonl"):
        Path(name).write_bytes(b"some bytes")
    Path("empty.mp4").touch()
    os.link("a.mp4", "hard.jsonl")
    for name, target in {"soft.jsonl": "a.mp4", "other.jsonl": "b.MOV", "round": "round", "gone": "far/x"}.items():
        Path(name).symlink_to(target)
    Path("folder").mkdir()
    Path("up").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        yield tmp_path


@pytest.mark.parametrize(
    ("output", "rule"),
    [
        ("a.mp4", "is the video itself"),
        ("./folder/../a.mp4", "is the video itself"),
        ("up/a.mp4", "is the video itself"),
        ("hard.jsonl", "is the video itself"),
        ("soft.jsonl", "is the video itself"),
        ("list.txt", "is the input itself"),
        ("b.MOV", "is a video that was not drawn here"),
        ("other.jsonl", "is a video that was not drawn here"),
        ("folder", "is a folder; name a file"),
        ("round", "cannot be written: Too many levels of symbolic links"),
        ("socket", "is no file, FIFO or terminal"),
        ("a.mp4/x", "cannot be written into '"),
    ],
)
def test_such_an_output_is_refused(place: Path, output: str, rule: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_output(Path(output), [Path("missing.mp4"), place / "a.mp4", Path("list.txt")])
    assert str(raised.value).startswith(f"--output '{Path(output)}' {rule}")
    assert Path("a.mp4").read_bytes() == b"some bytes"


@pytest.mark.parametrize(
    "output", ["old.jsonl", "new/deep/rows.jsonl", "gone", "empty.mp4", "/dev/null", "/dev/stdout", "/dev/full"]
)
def test_such_an_output_is_taken(place: Path, output: str) -> None:
    check_output(Path(output), [place / "a.mp4"])
    check_no_input(Path(output), [place / "a.mp4"], option="--failures")


def test_a_film_drawn_here_may_be_replaced(place: Path) -> None:
    write_mp4(place / "a.mp4", [(0.0, np.zeros((16, 16, 3), np.uint8))])
    check_output(Path("a.mp4"), suffixes=(".mp4",))


def test_what_is_no_file_needs_no_ending(place: Path) -> None:
    check_output(Path("/dev/null"), suffixes=(".png",))
    with pytest.raises(UsageError, match=r"must end in .png or .mp4"):
        check_output(Path("old.jsonl"), suffixes=(".png", ".mp4"))


@pytest.mark.parametrize(
    ("output", "failures"), [("x.jsonl", "./x.jsonl"), ("gone", "far/x"), ("old.jsonl", "up/old.jsonl")]
)
def test_two_outputs_are_two_files(place: Path, output: str, failures: str) -> None:
    with pytest.raises(UsageError, match="--output and --failures are the same file"):
        check_different(output=Path(output), failures=Path(failures))
    check_different(output=Path("/dev/null"), failures=Path("/dev/null"))
    check_different(output=None, failures=Path(failures))
