"""JSON is UTF-8 or ASCII, whatever a terminal speaks."""

import io
import json

import pytest

from cocon.core.texts.json_text import json_text


@pytest.mark.parametrize(("encoding", "is_ascii"), [("utf-8", False), ("UTF_8", False), ("latin-1", True)])
def test_a_stream_that_is_not_utf8_gets_ascii(encoding: str, is_ascii: bool) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text = json_text({"video": "é😀.mp4"}, stream)
    assert text.isascii() == is_ascii
    assert json.loads(text) == {"video": "é😀.mp4"}


def test_what_a_terminal_obeys_is_escaped() -> None:
    name = "\x1b[31m\x9b31m\x7f\u202e.mp4"
    assert json_text(name, io.StringIO()) == r'"\u001b[31m\u009b31m\u007f\u202e.mp4"'
    assert json.loads(json_text(name, io.StringIO())) == name


def test_a_stream_without_an_encoding_takes_all() -> None:
    assert json_text(["é"], io.StringIO()) == '["é"]'
