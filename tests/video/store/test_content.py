"""A video's identity is its bytes."""

import hashlib
from pathlib import Path

import pytest

from cocon.video.store.content import content_sha256


def test_equal_bytes_have_one_identity_whatever_they_are_called(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    names = ("a.mp4", "b.avi")
    for name in names:
        (tmp_path / name).write_bytes(content)
    assert {content_sha256(tmp_path / name) for name in names} == {hashlib.sha256(content).hexdigest()}
    (tmp_path / "b.avi").write_bytes(content + b"\0")
    assert content_sha256(tmp_path / "b.avi") != content_sha256(tmp_path / "a.mp4")


def test_a_file_that_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        content_sha256(tmp_path / "a.mp4")
