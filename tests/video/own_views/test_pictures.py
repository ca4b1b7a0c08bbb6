"""Files in the order of their numbers."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cocon.core.errors import MissingViewError
from cocon.video.own_views.pictures import last_number, natural_order, numbered_files, read_gray


def test_numbers_are_ordered_as_numbers_and_text_as_text() -> None:
    names = ["a9.png", "a010.png", "a10b2.png", "a10b11.png", "a100.png", "b1.png", "b" + "9" * 5000, "c"]
    mixed = [names[index] for index in (5, 0, 7, 3, 1, 6, 4, 2)]
    assert sorted(mixed, key=natural_order) == names


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("000123.jpg", 123),
        ("video_7_000123.jpg", 123),
        ("a/b7/0.png", 0),
        ("frame.0042", 42),
        ("12.jp2", 12),
        ("frame.jpg", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_a_files_number_is_the_last_in_its_name(name: str, number: int | None) -> None:
    assert last_number(name) == number


def test_files_are_found_by_ending_and_beginning_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("x2.png", "x10.PNG", "x1.jpg", "y3.png", "._x3.png", "notes.txt", "sub/x4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in numbered_files(tmp_path, {".png"}, prefix="x")] == ["x2.png", "x10.PNG"]
    with pytest.raises(MissingViewError, match="none' cannot be read"):
        numbered_files(tmp_path / "none", {".png"})


def test_a_picture_is_read_whatever_its_form(tmp_path: Path) -> None:
    gray = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)
    for name, pixels in {
        "ü gray.png": gray,
        "colour.png": np.repeat(gray[..., None], 3, axis=2),
        "alpha.png": np.dstack([gray, gray, gray, np.full_like(gray, 9)]),
    }.items():
        (tmp_path / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        assert np.array_equal(read_gray(tmp_path / name), gray), name


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(30), None])
def test_a_file_that_is_no_picture_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingViewError, match=r"picture '.*frame\.png' cannot be"):
        read_gray(path)
