"""Text for a terminal."""

from pathlib import Path

import pytest

from cocon.core.printable import printable


@pytest.mark.parametrize(("text", "shown"), [("ä b", "ä b"), (Path("a/\udcff.mp4"), "a/\\udcff.mp4"), ("", "")])
def test_bytes_that_are_no_text_are_written_out(text: object, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).encode("utf-8").decode("utf-8") == shown
