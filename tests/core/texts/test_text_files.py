"""Texts that people bring, in whatever encoding their editor writes."""

import os
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.core.texts.text_files import decode_text, named_path, read_lines, read_names, read_text

TEXT = "jump\r\nhüpfen\r\n日本\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_is_the_same_in_every_encoding_that_says_which_it_is(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(TEXT.replace("\r\n", end).encode(encoding))
    assert read_text(path) == "jump\nhüpfen\n日本\n"
    assert read_lines(path) == read_names(path) == ["jump", "hüpfen", "日本"]


def test_big_endian_is_known_by_its_mark() -> None:
    assert decode_text(b"\xfe\xff\x00a", "'x'") == "a"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\nh\xfcpfen\n", r"labels '.*x.txt' line 3 is not UTF-8 \(byte 0xfc\); save it as UTF-8$"),
        ("a\nb\n".encode("utf-16-le"), r"'.*x.txt' is UTF-16 without a byte-order mark; save it as UTF-8$"),
        ("a\nb\n".encode("utf-16-be"), r"'.*x.txt' is UTF-16 without a byte-order mark; save it as UTF-8$"),
        (b"a\nb\0c\n", r"'.*x.txt' line 2 has a zero byte"),
        ("日本".encode("utf-16")[:-1], r"'.*x.txt' is damaged: it is not the UTF-16 that its first bytes say"),
    ],
)
def test_another_encoding_is_refused_by_file_line_and_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_lines(path, "labels")


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_text_has_no_lines(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    assert read_lines(tmp_path / "x.txt") == []


def test_only_line_ends_end_lines_of_names_and_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"a\x0bb\xc2\x85c\xe2\x80\xa8d.mp4\n caf\xe9.mp4 \nx\ry\n\n")
    assert read_names(path) == ["a\x0bb\x85c\u2028d.mp4", " caf\udce9.mp4 ", "x\ry", ""]


def test_a_name_means_what_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    files = [b"caf\xe9.mp4", b" a.mp4 ", b"b.mp4", b"'c'.mp4", b"'d'", b"~", b"new\nline.mp4", b"#1.mp4"]
    for file in (*files, b"home/e.mp4"):
        (tmp_path / os.fsdecode(file)).touch()
    meant = {
        "caf\udce9.mp4": "caf\udce9.mp4",
        r" caf\xe9.mp4": "caf\udce9.mp4",
        " a.mp4 ": " a.mp4 ",
        "\t b.mp4 ": "b.mp4",
        "'b.mp4' ": "b.mp4",
        '"b.mp4"': "b.mp4",
        "'c'.mp4": "'c'.mp4",
        "'d'": "'d'",
        "~": "~",
        "~/e.mp4": f"{home}/e.mp4",
        r"new\x0aline.mp4": "new\nline.mp4",
        "#1.mp4": "#1.mp4",
        " gone.mp4 ": "gone.mp4",
        "x" * 5000: "x" * 5000,
    }
    assert {text: str(named_path(text, tmp_path)) for text in meant} == meant
    monkeypatch.chdir(tmp_path)
    assert named_path('"b.mp4"') == Path("b.mp4")
