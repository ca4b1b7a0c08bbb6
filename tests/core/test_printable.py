"""Text for people."""

from pathlib import Path

import pytest

from cocon.core.printable import clock, printable


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
