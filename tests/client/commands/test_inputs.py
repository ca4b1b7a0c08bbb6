import io
import os
from pathlib import Path

import pytest

from cocon.client.commands.inputs import expand_inputs, named_folders
from cocon.core.errors import UsageError

NOTHING = io.BytesIO()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.MKV", "sub/c.webm", "notes.txt", ".hidden/d.mp4", "views/flow/a.npz"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(paths: list[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in paths]


def test_folder_is_searched_recursively_for_videos(folder: Path) -> None:
    assert names(expand_inputs([str(folder)], NOTHING), folder) == ["a.MKV", "b.mp4", "sub/c.webm"]


def test_order_of_arguments_is_kept_and_each_file_comes_once(folder: Path) -> None:
    found = expand_inputs([str(folder / "b.mp4"), str(folder / "notes.txt"), str(folder)], NOTHING)
    assert names(found, folder) == ["b.mp4", "notes.txt", "a.MKV", "sub/c.webm"]


def test_glob_list_and_stdin(folder: Path) -> None:
    listed = folder / "list.txt"
    listed.write_text(f"{folder / 'a.MKV'}\n\n  {folder / 'gone.mp4'}\n")
    assert names(expand_inputs([f"{folder}/**/*.webm"], NOTHING), folder) == ["sub/c.webm"]
    assert names(expand_inputs([f"@{listed}"], NOTHING), folder) == ["a.MKV", "gone.mp4"]
    assert names(expand_inputs(["-"], io.BytesIO(f"{folder / 'b.mp4'}\n".encode())), folder) == ["b.mp4"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_of_a_list_are_names_as_people_write_them(folder: Path, encoding: str) -> None:
    (folder / "#1 é.mp4").touch()
    lines = [
        "# comment",
        f'"{folder / "#1 é.mp4"}"',
        "",
        f"  {folder / 'b.mp4'} ",
        "#x",
        "#gone.mp4",
        "y" * 300 + ".mp4",
    ]
    (folder / "list.txt").write_bytes("\r\n".join(lines).encode(encoding))
    named = [folder / "#1 é.mp4", folder / "b.mp4", Path("#gone.mp4"), Path(lines[-1])]
    assert expand_inputs([f"@{folder / 'list.txt'}"], NOTHING) == named
    assert expand_inputs(["-"], io.BytesIO((folder / "list.txt").read_bytes())) == named


def test_bytes_that_are_no_text_name_a_file_or_are_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    odd = folder / "caf\udce9.mp4"
    odd.touch()
    listed = folder / "list.txt"
    listed.write_bytes(os.fsencode(f"{odd}\n{folder}/h\udcfc.mp4\n"))
    assert expand_inputs([f"@{listed}"], NOTHING) == [odd, folder / "h\udcfc.mp4"]
    assert expand_inputs([rf"{folder}/caf\xe9.mp4"], NOTHING) == [odd]
    assert f"list '{listed}' line 2 is not UTF-8 and names no file" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "list '.*list.txt' names no video"),
        (b"\xef\xbb\xbf\n \n# none\n", "list '.*list.txt' names no video"),
        ("a.mp4\n".encode("utf-16-le"), "list '.*list.txt' is UTF-16 without a byte-order mark; save it as UTF-8"),
        (b"a.mp4\n\0", "list '.*list.txt' line 2 has a zero byte"),
    ],
)
def test_a_list_that_is_none_is_refused_in_a_line(folder: Path, content: bytes, message: str) -> None:
    (folder / "list.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        expand_inputs([f"@{folder / 'list.txt'}"], NOTHING)


def test_file_with_glob_characters_in_its_name_is_a_file(folder: Path) -> None:
    odd = folder / "a[1]*.mp4"
    odd.touch()
    assert expand_inputs([str(odd)], NOTHING) == [odd]


def test_everything_that_names_nothing_is_told_at_once(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UsageError) as caught:
        expand_inputs([str(folder / "x.mp4"), f"{folder}/*.avi", "@gone.txt", str(folder / "empty")], NOTHING)
    for part in ("x.mp4' does not exist", "*.avi' matches no file", "list 'gone.txt'", "empty' holds no video"):
        assert part in str(caught.value)


def test_empty_stdin_is_a_wrong_command() -> None:
    with pytest.raises(UsageError, match="no videos given"):
        expand_inputs(["-"], NOTHING)


def test_what_else_is_named_is_told_of_for_what_it_is(folder: Path) -> None:
    os.mkfifo(folder / "pipe.mp4")
    addresses = ["http://host/a.mp4", "https://host/watch?v=*", str(folder / "pipe.mp4")]
    with pytest.raises(UsageError) as caught:
        expand_inputs(addresses, NOTHING)
    reasons = ("is a URL", "is a URL", "is a FIFO")
    for address, reason in zip(addresses, reasons, strict=True):
        assert f"'{address}' {reason}" in str(caught.value)


def test_a_glob_has_what_cannot_be_read_fail_alone(folder: Path) -> None:
    (folder / "gone.mp4").symlink_to("nowhere")
    (folder / "film.mp4").mkdir()
    assert names(expand_inputs([f"{folder}/*.mp4"], NOTHING), folder) == ["b.mp4", "gone.mp4"]


def test_what_a_folder_holds_besides_videos_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    expand_inputs([str(folder)], NOTHING)
    assert caplog.messages == [f"{folder}: 1 file left out (not the ending of a video), such as 'notes.txt'"]


def test_folders_named_side_by_side_are_those_of_one(folder: Path) -> None:
    (folder / "more").mkdir()
    assert named_folders([str(folder / "sub"), str(folder / "more")]) == [folder / "sub", folder / "more", folder]
    assert named_folders([str(folder / "sub"), str(folder / "sub")])[-1] == folder / "sub"


def test_named_folders_are_those_that_globs_begin_with_too(folder: Path) -> None:
    arguments = [str(folder / "sub"), f"{folder}/*/c.webm", "*.mp4", str(folder / "b.mp4"), "-", "@list.txt"]
    assert named_folders(arguments) == [folder / "sub", folder, Path()]
