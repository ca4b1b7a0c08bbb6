"""What is found in a folder, behind links too, and what is said of the rest."""

import logging
import os
import socket
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cocon.core.errors import UsageError
from cocon.video.decoding.frames import read_frames
from cocon.video.store.dataset import DatasetFolder
from cocon.video.store.found_videos import VIDEO_SUFFIXES, find_videos, warn_of_left_out

# Ending → what FFmpeg calls the container, and a codec that goes with it.
_WRITTEN_AS = {
    "3g2": ("3g2", "mpeg4"),
    "asf": ("asf", "wmv2"),
    "divx": ("avi", "mpeg4"),
    "dv": ("dv", "dvvideo"),
    "f4v": ("f4v", "libx264"),
    "264": ("h264", "libx264"),
    "hevc": ("hevc", "libx265"),
    "ivf": ("ivf", "libvpx"),
    "m2p": ("vob", "mpeg2video"),
    "m2ts": ("mpegts", "libx264"),
    "m2v": ("mpeg2video", "mpeg2video"),
    "mts": ("mpegts", "libx264"),
    "mxf": ("mxf", "mpeg2video"),
    "qt": ("mov", "libx264"),
    "rm": ("rm", "rv10"),
    "vob": ("vob", "mpeg2video"),
}


def _lay_out(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _found(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in find_videos(folder).videos]


def _said(folder: Path) -> list[str]:
    return [str(kind) for kind in find_videos(folder).left_out]


def _write(path: Path, container: str, codec: str) -> None:
    height, width = (576, 720) if container in ("dv", "mxf") else (48, 64)
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=Fraction(25))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for grey in range(4):
            picture = av.VideoFrame.from_ndarray(np.full((height, width, 3), 50 * grey, np.uint8), format="rgb24")
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))


def test_files_that_are_read_as_videos_are_found_by_their_endings(tmp_path: Path) -> None:
    for ending, (container, codec) in _WRITTEN_AS.items():
        _write(tmp_path / f"a.{ending.upper()}", container, codec)
    found = find_videos(tmp_path).videos
    assert {path.suffix.lower()[1:] for path in found} == _WRITTEN_AS.keys()
    assert [len(list(read_frames(path))) for path in found] == [4] * len(_WRITTEN_AS)


def test_linked_folders_are_entered_under_the_names_of_their_links(tmp_path: Path) -> None:
    _lay_out(tmp_path, "disk/jump/a.mp4", "disk/jump/day 2/b.mp4", "data/run/c.mp4")
    (tmp_path / "data" / "jump").symlink_to("../disk/jump")
    (tmp_path / "data" / "c.mp4").symlink_to("run/c.mp4")  # a link to a file is a file, as ever
    dataset = DatasetFolder.open(tmp_path / "data")
    assert [(video.video_id, video.label) for video in dataset.videos] == [
        ("c.mp4", ""),
        ("jump__a.mp4", "jump"),
        ("jump__day 2__b.mp4", "day 2"),
        ("run__c.mp4", "run"),
    ]
    assert dataset.left_out == ()


def test_no_link_has_anything_read_twice_or_brings_in_what_lies_above(tmp_path: Path) -> None:
    _lay_out(tmp_path, "stranger.mp4", "data/jump/a.mp4", "disk/b.mp4")
    links = {"data/again": "jump", "data/jump/loop": "..", "data/up": "..", "disk/back": "../data"}
    for link, target in {**links, "data/z1": "../disk", "data/z2": "../disk"}.items():
        (tmp_path / link).symlink_to(target)
    (tmp_path / "opened").symlink_to("data")
    for root in ("data", "opened"):
        assert _found(tmp_path / root) == ["jump/a.mp4", "z1/b.mp4"]
        assert _said(tmp_path / root) == ["5 linked folders left out (read already, or above), such as 'again'"]


def test_a_closed_folder_is_said_and_the_others_are_read(unprivileged: Path) -> None:
    _lay_out(unprivileged, "jump/a.mp4", "shut/b.mp4", "link/c.mp4")
    (unprivileged / "link" / "d.mp4").symlink_to("../shut/b.mp4")
    (unprivileged / "shut").chmod(0)
    try:
        assert _found(unprivileged) == ["jump/a.mp4", "link/c.mp4"]
        assert _said(unprivileged) == [
            "1 folder left out (cannot be read: Permission denied), such as 'shut'",
            "1 link left out (cannot be followed: Permission denied), such as 'link/d.mp4'",
        ]
        with pytest.raises(UsageError, match=r"^folder '.*/shut' cannot be read: Permission denied$"):
            find_videos(unprivileged / "shut")
    finally:
        (unprivileged / "shut").chmod(0o700)


def test_what_is_no_video_is_counted_by_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _lay_out(tmp_path, "a.mp4", "b.mp4.part", "notes.txt", "jump/README")
    for link in ("gone.mp4", "jump/gone"):
        (tmp_path / link).symlink_to("nowhere")
    (tmp_path / "self.mp4").symlink_to("self.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.mp4"))
    (tmp_path / "null.mp4").symlink_to("/dev/null")
    with caplog.at_level(logging.WARNING):
        warn_of_left_out(tmp_path, find_videos(tmp_path).left_out)
    assert [record.getMessage().removeprefix(f"{tmp_path}: ") for record in caplog.records] == [
        "3 files left out (not the ending of a video), such as 'b.mp4.part'",
        "1 link left out (cannot be followed: Too many levels of symbolic links), such as 'self.mp4'",
        "2 links left out (leads nowhere), such as 'gone.mp4'",
        "1 special file left out (it is a FIFO), such as 'pipe.mp4'",
        "1 special file left out (it is a device), such as 'null.mp4'",
        "1 special file left out (it is a socket), such as 's.mp4'",
    ]
    assert _found(tmp_path) == ["a.mp4"]


def test_what_is_hidden_or_the_datasets_own_is_passed_over(tmp_path: Path) -> None:
    _lay_out(tmp_path, "A.mp4", "a.mp4", "b..mp4", "film.mp4/c.mp4")
    _lay_out(tmp_path, "._a.mp4", ".trash/d.mp4", "views/flow/a.mp4.npz", "views/e.mp4", "manifest.csv", "Thumbs.db")
    assert _found(tmp_path) == ["A.mp4", "a.mp4", "b..mp4", "film.mp4/c.mp4"]
    assert _said(tmp_path) == []


def test_a_folder_without_videos_says_what_is_there_instead(tmp_path: Path) -> None:
    _lay_out(tmp_path, "a.txt", "b.txt")
    left_out = r"has no videos; 2 files left out \(not the ending of a video\), such as 'a.txt'$"
    with pytest.raises(UsageError, match=left_out):
        DatasetFolder.open(tmp_path)


def test_endings_are_lower_case_and_of_one_dot() -> None:
    assert all(ending == f".{ending.strip('.').lower()}" for ending in VIDEO_SUFFIXES)
