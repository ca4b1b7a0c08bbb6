"""What is said of a path that is not there, or is something else."""

import os
import socket
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.core.paths import check_file, check_folder, real_path, why_no_file


def test_no_file_is_named_with_what_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    with pytest.raises(UsageError, match=f"^video '{path}' does not exist or is no file$"):
        check_file(path, "video")


def test_what_is_no_file_is_said_to_be_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.mp4")
    Path("film.mp4").mkdir()
    Path("gone.mp4").symlink_to("nowhere")
    Path("self.mp4").symlink_to("self.mp4")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s.mp4")
    elsewhere = "is a URL; only what is on this machine is read: download it, and name the file"
    reasons = {
        "pipe.mp4": "is a FIFO and no file; copy what it gives to a file",
        "s.mp4": "is a socket and no file; copy what it gives to a file",
        "/dev/null": "is a device and no file; copy what it gives to a file",
        "film.mp4": "is a folder and no file; name a file in it",
        "gone.mp4": "is a link that leads nowhere (to 'nowhere')",
        "self.mp4": "cannot be reached: Too many levels of symbolic links",
        "http://host/a.mp4": elsewhere,
        "s3:/bucket/a.mp4": elsewhere,  # what becomes of it as a path
        "videos/rtsp:/host/live": elsewhere,  # and in a folder's list
        "file:///tmp/a.mp4": "is a URL; name the path alone, without 'file://'",
        "C:/a.mp4": "does not exist or is no file",
        "Talk: part 1.mp4": "does not exist or is no file",
    }
    assert {path: why_no_file(path) for path in reasons} == reasons
    Path("http:").mkdir()
    Path("http:/a.mp4").touch()
    assert why_no_file("http:/a.mp4") == ""


def test_no_folder_is_named_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.touch()
    for path in (file, tmp_path / "absent"):
        with pytest.raises(UsageError, match=f"^--data '{path}' does not exist or is no folder; name one$"):
            check_folder(path, "--data", remedy="name one")
    with pytest.raises(UsageError, match=r"^--data 's3:/b' is a URL; .* download it, and name the folder; name one$"):
        check_folder(Path("s3://b"), "--data", remedy="name one")


def test_a_path_leads_behind_all_links_and_nowhere_where_they_go_in_a_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("link").symlink_to("here")
    Path("circle").symlink_to("again")
    Path("again").symlink_to("circle")
    assert real_path("link/../here/absent") == tmp_path.resolve() / "here" / "absent"
    assert real_path(Path("link")) == tmp_path.resolve() / "here"
    assert real_path("circle").name in ("circle", "again")
    with pytest.raises(UsageError, match="cannot be reached: Too many levels of symbolic links"):
        check_folder(real_path("circle"), "--data")


def test_what_is_there_passes(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    check_file(str(tmp_path / "a.mp4"), "video")
    check_folder(tmp_path, "dataset folder")
