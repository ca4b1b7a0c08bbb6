"""Masks as people have them: videos, and folders of pictures in several conventions."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError, TooLargeError, UnreadableVideoError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.own_views.masks import user_masks
from cocon.video.own_views.source import OwnSource, OwnVideo

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]

LEFT = np.zeros((12, 20), np.uint8)
LEFT[:, :8] = 1
RIGHT = 1 - LEFT
NOBODY = np.zeros_like(LEFT)


def _folder(path: Path, pictures: Iterable[Pixels], first: int = 1) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(pictures, start=first):
        (path / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def _masks(path: Path, num_frames: int, height: int = 12, width: int = 20) -> Pixels:
    return user_masks(OwnSource(path), OwnVideo(num_frames, height, width)).rows


def _refused(path: Path, num_frames: int) -> str:
    with pytest.raises(MissingViewError) as caught:
        _masks(path, num_frames)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("value", [1, 38, 255])
def test_one_value_besides_nothing_is_a_person_for_sure(value: int, tmp_path: Path) -> None:
    pictures = [LEFT * np.uint8(value), NOBODY, RIGHT * np.uint8(value)]
    masks = _masks(_folder(tmp_path / "walk", pictures), 3)
    assert (masks.shape, masks.dtype) == ((3, 12, 20, 1), np.uint8)
    assert np.array_equal(masks[..., 0], np.stack([LEFT, NOBODY, RIGHT]) * 255)


def test_one_colour_is_a_person_for_sure(tmp_path: Path) -> None:
    red = np.dstack([NOBODY, NOBODY, LEFT * 128])  # OpenCV writes blue, green, red
    masks = _masks(_folder(tmp_path / "walk", [red]), 1)
    assert np.array_equal(masks[0, ..., 0], LEFT * 255)


def test_probabilities_stay(tmp_path: Path) -> None:
    soft = np.arange(240, dtype=np.uint8).reshape(12, 20)
    pictures = [soft, LEFT, LEFT * np.uint8(77), LEFT * np.uint8(255), NOBODY]
    masks = _masks(_folder(tmp_path / "walk", pictures), 5)
    assert np.array_equal(masks[..., 0], np.stack(pictures))


def test_different_sure_values_are_probabilities(tmp_path: Path) -> None:
    pictures = [LEFT * np.uint8(255), RIGHT * np.uint8(64)]
    masks = _masks(_folder(tmp_path / "walk", pictures), 2)
    assert np.array_equal(masks[..., 0], np.stack(pictures))


def test_pictures_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    pictures = [LEFT * np.uint8(20 * number) for number in range(12)]
    masks = _masks(_folder(tmp_path / "walk", pictures, first=0), 12)
    assert masks[:, 0, 0, 0].tolist() == [20 * number for number in range(12)]


@pytest.mark.parametrize("value", [1, 255])
def test_large_masks_are_reduced_to_128_pixels_and_keep_soft_edges(value: int, tmp_path: Path) -> None:
    large = np.zeros((256, 400), np.uint8)
    large[:, :101] = value
    masks = _masks(_folder(tmp_path / "walk", [large]), 1, 256, 400)
    assert masks.shape == (1, 128, 200, 1)
    assert masks[0, 5, [49, 50, 51], 0] == pytest.approx([255, 128, 0], abs=1)


def test_small_masks_keep_their_size(tmp_path: Path) -> None:
    assert _masks(_folder(tmp_path / "walk", [LEFT]), 1).shape == (1, 12, 20, 1)


def test_a_video_is_read_as_probabilities(tmp_path: Path, write_video: WriteVideo) -> None:
    grey = [np.full((48, 64, 3), level, np.uint8) for level in (0, 100, 200, 255)]
    path = write_video(tmp_path / "walk.mp4", grey, np.arange(4) / 25)
    masks = _masks(path, 4, 480, 640)
    assert masks.shape == (4, 48, 64, 1)
    assert masks.mean(axis=(1, 2, 3)) == pytest.approx([0, 100, 200, 255], abs=4)


@pytest.mark.parametrize("num_frames", [2, 4])
def test_as_many_masks_as_frames_are_needed(num_frames: int, tmp_path: Path, write_video: WriteVideo) -> None:
    folder = _folder(tmp_path / "walk", [LEFT, RIGHT, LEFT])
    video = write_video(tmp_path / "walk.mp4", [np.zeros((48, 80, 3), np.uint8)] * 3, np.arange(3) / 25)
    for path in (folder, video):
        assert f"are 3, the video has {num_frames} frames" in _refused(path, num_frames)


def test_masks_of_different_sizes_are_refused(tmp_path: Path) -> None:
    path = _folder(tmp_path / "walk", [LEFT, LEFT[:, :10]])
    assert "the mask of frame 1 is 10 × 12, the first 20 × 12" in _refused(path, 2)


def test_labels_of_several_things_are_refused(tmp_path: Path) -> None:
    path = _folder(tmp_path / "walk", [LEFT + 1, NOBODY + 3, NOBODY])
    assert "have values 0, 1, 2, 3, ...: labels; write people as 255" in _refused(path, 3)


def test_what_holds_no_masks_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "walk"
    empty.mkdir()
    (empty / "1.jpg").touch()
    assert "has no PNG files" in _refused(empty, 1)
    (empty / "1.png").write_bytes(b"no picture")
    assert "cannot be decoded" in _refused(empty, 1)
    (tmp_path / "walk.mp4").write_bytes(b"no video")
    with pytest.raises(UnreadableVideoError):
        _masks(tmp_path / "walk.mp4", 1)


def test_masks_of_another_shape_than_the_video_are_refused(tmp_path: Path) -> None:
    path = _folder(tmp_path / "walk", [LEFT])
    with pytest.raises(MissingViewError, match=r"walk' are 20 × 12, the video is 12 × 20: another shape"):
        _masks(path, 1, 20, 12)
    assert len(_masks(path, 1, 480, 830)) == 1


def test_the_users_limits_hold_for_a_video_of_masks(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "walk.mp4", [np.zeros((48, 64, 3), np.uint8)] * 4, np.arange(4) / 25)
    with pytest.raises(TooLargeError, match="--limit max_frames="):
        user_masks(OwnSource(path), OwnVideo(4, 48, 64, limits=MediaLimits(max_frames=3)))
