"""Pictures that are made when somebody looks at them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import of_one_size, read_frames
from cocon.video.decoding.picture import Picture

Pixels = NDArray[np.uint8]


def test_a_picture_is_made_once_and_only_when_it_is_asked_for() -> None:
    made: list[str] = []

    def make() -> Pixels:
        made.append("picture")
        return np.full((2, 2, 3), 7, np.uint8)

    picture = Picture(make)
    darker = picture.changed(lambda pixels: pixels - 1)
    assert made == []
    assert int(darker.pixels.max()) == 6
    assert picture.pixels is picture.pixels
    assert made == ["picture"]


def test_what_is_made_of_a_made_picture_is_made_at_once() -> None:
    changed: list[int] = []
    Picture.of(np.zeros((2, 2, 3), np.uint8)).changed(lambda pixels: changed.append(1) or pixels)
    assert changed == [1]


def test_pictures_are_the_frames_whichever_of_them_are_made(
    tmp_path: Path, write_video: Callable[..., Path], numbered: Callable[..., list[Pixels]]
) -> None:
    path = write_video(tmp_path / "video.mp4", numbered(20), np.arange(20) / 25)
    frames = list(of_one_size(read_frames(path)))
    pictures = list(read_frames(path).pictures())
    assert [seconds for seconds, _ in pictures] == [seconds for seconds, _ in frames]
    for number in (17, 3, 4, 0):  # in any order, and long after the decoder has gone on
        assert np.array_equal(pictures[number][1].pixels, frames[number][1])
