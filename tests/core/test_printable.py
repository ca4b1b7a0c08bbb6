"""Text for people."""

import os
from pathlib import Path

import pytest

from cocon.core.printable import ESCAPING, clock, escaped, in_one_line, printable, short_path, unescaped

# Bytes of a name → its written form, and what is printed of that.
NAMES = {
    b"a b.mp4": ("a b.mp4", "a b.mp4"),
    "日本 é e\u0301 😀 👨\u200d👩.mp4".encode(): ("日本 é e\u0301 😀 👨\u200d👩.mp4",) * 2,
    b":smile: [bold]#1.mp4": (":smile: [bold]#1.mp4",) * 2,
    b"caf\xe9.mp4": (r"caf\xe9.mp4",) * 2,
    rb"caf\xe9.mp4": (r"caf\x5cxe9.mp4",) * 2,
    rb"C:\new\x0\xE9\x00.mp4": (r"C:\new\x0\xE9\x00.mp4",) * 2,
    b"\\\xff\\x5c": (r"\\xff\x5cx5c",) * 2,
    b"a\nb\t\r\x07.mp4": ("a\nb\t\r\x07.mp4", r"a\x0ab\x09\x0d\x07.mp4"),
    b"\x1b[31m.mp4": ("\x1b[31m.mp4", r"\x1b[31m.mp4"),
    "\x9b31m\x85.mp4".encode(): ("\x9b31m\x85.mp4", r"\xc2\x9b31m\xc2\x85.mp4"),
    "a\u202e\u200b\ufeff4pm".encode(): ("a\u202e\u200b\ufeff4pm", r"a\xe2\x80\xae\xe2\x80\x8b\xef\xbb\xbf4pm"),
}


@pytest.mark.parametrize(("name", "forms"), NAMES.items(), ids=map(repr, NAMES))
def test_every_name_comes_back_from_its_written_and_from_its_printed_form(name: bytes, forms: tuple[str, str]) -> None:
    written = escaped(os.fsdecode(name))
    assert (written, printable(written)) == forms
    written.encode("utf-8")
    assert [os.fsencode(unescaped(form)) for form in forms] == [name, name]


def test_a_stream_that_lacks_characters_gets_bytes_that_give_the_name_back() -> None:
    shown = "é日 \udcff.mp4".encode("ascii", ESCAPING).decode()
    assert shown == r"\xc3\xa9\xe6\x97\xa5 \xff.mp4"
    assert unescaped(shown) == "é日 \udcff.mp4"
    assert "é日".encode("latin-1", ESCAPING) == b"\xe9\\xe6\\x97\\xa5"


def test_an_error_is_told_in_a_line_that_can_be_printed() -> None:
    assert in_one_line(ValueError("'two  blanks\x1b[2J' is\n   wrong \r\n")) == r"'two  blanks\x1b[2J' is wrong"
    assert in_one_line(ValueError("'a\nb.mp4' and\n'c\td'")) == r"'a\x0ab.mp4' and 'c\x09d'"
    assert in_one_line(ValueError()) == "ValueError"
    assert printable("half a pair: \ud83d") == r"half a pair: \ud83d"


@pytest.mark.parametrize(("text", "shown"), [("ä b", "ä b"), (Path("a/\udcff.mp4"), "a/\\xff.mp4"), ("", "")])
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
