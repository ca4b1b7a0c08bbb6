"""Text for people."""

from pathlib import Path

import pytest

from cocon.core.printable import clock, printable, short_path


@pytest.mark.parametrize(("text", "shown"), [("ä b", "ä b"), (Path("a/\udcff.mp4"), "a/\\udcff.mp4"), ("", "")])
def test_bytes_that_are_no_text_are_written_out(text: object, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).encode("utf-8").decode("utf-8") == shown


def test_moments_are_written_as_people_do() -> None:
    assert [clock(seconds) for seconds in (0.0, 1.26, 60.0, 150.4, 3725.0)] == [
        "0 s",
        "1.3 s",
        "60 s",
        "2:30",
        "1:02:05",
    ]


def test_a_path_is_told_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_path(str(tmp_path / "a" / "b.mp4")) == "a/b.mp4"
    assert short_path(f"{tmp_path}2/b.mp4") == f"{tmp_path}2/b.mp4"
