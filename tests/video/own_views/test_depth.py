"""Depth as people have it: PNG files of 8 and 16 bits, arrays, gray videos, and what is wrong with them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError, TooLargeError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.own_views.depth import user_depth
from cocon.video.own_views.source import OwnSource, OwnVideo

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]

# From 500 to 1500 in steps of 100 along the width, as a sensor measures millimetres.
MILLIMETRES = np.tile(np.arange(500, 1600, 100, dtype=np.uint16), (6, 1))
SHARES = np.rint(np.arange(11) / 10 * 255)
RANGE = (500.0, 1500.0)


def _folder(path: Path, pictures: Iterable[NDArray[Any]]) -> Path:
    path.mkdir()
    for number, pixels in enumerate(pictures, start=8):
        (path / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def _array(path: Path, frames: NDArray[Any]) -> Path:
    np.save(path, frames)
    return path


def _depth(
    path: Path,
    num_frames: int = 3,
    near_far: tuple[float, float] | None = RANGE,
    size: tuple[int, int] = (6, 11),
    limits: MediaLimits | None = None,
) -> Pixels:
    said = dict(zip(("depth_near", "depth_far"), near_far, strict=True)) if near_far else {}
    frames: Pixels = user_depth(OwnSource(path, said), OwnVideo(num_frames, *size, limits=limits or MediaLimits())).rows
    return frames


def _refused(path: Path, num_frames: int = 3, near_far: tuple[float, float] | None = RANGE) -> str:
    with pytest.raises(MissingViewError) as caught:
        _depth(path, num_frames, near_far)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sixteen_bits_are_scaled_by_the_range_and_frames_go_by_the_numbers_of_their_names(tmp_path: Path) -> None:
    depth = _depth(_folder(tmp_path / "walk", [MILLIMETRES, MILLIMETRES + 100, MILLIMETRES * 0]))  # 8, 9, 10
    assert (depth.shape, depth.dtype) == ((3, 6, 11, 1), np.uint8)
    assert np.array_equal(depth[0, 2, :, 0], SHARES)
    assert np.array_equal(depth[1, 2, :-1, 0], SHARES[1:])
    assert depth[1, 2, -1, 0] == 255  # beyond the far end
    assert not depth[2].any()  # nearer than the near end, as what was not measured


def test_eight_bits_stay_as_they_are_unless_a_range_is_given(tmp_path: Path) -> None:
    bytes_ = np.tile(np.arange(0, 110, 10, dtype=np.uint8), (6, 1))
    path = _folder(tmp_path / "walk", [bytes_] * 3)
    assert np.array_equal(_depth(path, near_far=None)[2, ..., 0], bytes_)
    assert np.array_equal(_depth(path, near_far=(0.0, 100.0))[2, 0, :, 0], SHARES)


@pytest.mark.parametrize("dtype", [np.uint16, np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("trailing", [(), (1,)])
def test_arrays_of_any_kind_are_scaled_alike(dtype: str, trailing: tuple[int, ...], tmp_path: Path) -> None:
    frames = np.stack([MILLIMETRES] * 3).astype(dtype).reshape(3, 6, 11, *trailing)
    assert np.array_equal(_depth(_array(tmp_path / "walk.npy", frames))[1, 5, :, 0], SHARES)
    np.savez_compressed(tmp_path / "walk.npz", frames)
    assert np.array_equal(_depth(tmp_path / "walk.npz")[2, 0, :, 0], SHARES)


def test_bytes_in_an_array_need_no_range(tmp_path: Path) -> None:
    frames = np.arange(3 * 6 * 11, dtype=np.uint8).reshape(3, 6, 11)
    assert np.array_equal(_depth(_array(tmp_path / "walk.npy", frames), near_far=None)[..., 0], frames)


def test_what_is_no_number_is_near_and_what_is_infinite_is_clipped(tmp_path: Path) -> None:
    frames = np.full((1, 6, 11), 1000.0, np.float32)
    frames[0, 0, :3] = np.nan, np.inf, -np.inf
    depth = _depth(_array(tmp_path / "walk.npy", frames), num_frames=1)
    assert depth[0, 0, :4, 0].tolist() == [0, 255, 0, 128]


def test_a_gray_video_is_depth_of_eight_bits(tmp_path: Path, write_video: WriteVideo) -> None:
    grays = [np.full((48, 64, 3), value, np.uint8) for value in (20, 120, 220)]
    path = write_video(tmp_path / "walk.mkv", grays, np.arange(3) / 10)
    means = _depth(path, near_far=None, size=(48, 64)).mean(axis=(1, 2, 3))
    assert means == pytest.approx([20, 120, 220], abs=4)
    ranged = _depth(path, near_far=(120.0, 220.0), size=(48, 64)).mean(axis=(1, 2, 3))
    assert ranged == pytest.approx([0, 0, 255], abs=10)


def test_large_maps_are_reduced_and_may_be_larger_than_the_video(tmp_path: Path) -> None:
    frames = np.full((1, 480, 640), 1000, np.uint16)
    depth = _depth(_array(tmp_path / "walk.npy", frames), num_frames=1, size=(240, 320))
    assert depth.shape == (1, 128, 171, 1)
    assert (depth == 128).all()


@pytest.mark.parametrize("form", ["png", "npy"])
def test_more_than_a_byte_without_a_range_is_refused_with_the_remedy(form: str, tmp_path: Path) -> None:
    frames = [MILLIMETRES] * 3
    path = _folder(tmp_path / "walk", frames) if form == "png" else _array(tmp_path / "walk.npy", np.stack(frames))
    message = _refused(path, near_far=None)
    assert message.endswith(
        "is uint16, which is more than a byte; say which values 0 and 255 stand for: --depth-range NEAR FAR"
    )


@pytest.mark.parametrize("num_maps", [2, 4])
def test_another_number_than_the_videos_is_refused(num_maps: int, tmp_path: Path) -> None:
    path = _folder(tmp_path / "walk", [MILLIMETRES] * num_maps)
    assert f"has {num_maps} frames, the video 3; it needs as many" in _refused(path)


def test_an_empty_folder_and_an_empty_array_are_refused(tmp_path: Path) -> None:
    assert "there are no frames" in _refused(_folder(tmp_path / "walk", []))
    assert "there are no frames" in _refused(_array(tmp_path / "walk.npy", np.zeros((0, 6, 11), np.uint8)))


def test_maps_on_their_side_and_of_different_sizes_are_refused(tmp_path: Path) -> None:
    assert "is 6 × 11, the video is 11 × 6: another shape" in _refused(_folder(tmp_path / "side", [MILLIMETRES.T] * 3))
    mixed = _folder(tmp_path / "mixed", [MILLIMETRES, np.tile(MILLIMETRES, (2, 2)), MILLIMETRES])
    assert "frame 1 is 22 × 12, the first 11 × 6; they must be alike" in _refused(mixed)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((3, 6, 11), np.int32), np.zeros((3, 6, 11), np.bool_), np.zeros((6, 11), np.float32),
     np.zeros((3, 6, 11, 3), np.uint8), np.zeros((3, 0, 11), np.uint8)],
)  # fmt: skip
def test_arrays_of_another_type_or_shape_are_refused(frames: NDArray[Any], tmp_path: Path) -> None:
    message = _refused(_array(tmp_path / "walk.npy", frames))
    assert message.endswith(f"is {frames.dtype} {list(frames.shape)}, not uint8, uint16 or floating point [F, H, W]")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = _array(tmp_path / "walk.npy", np.stack([MILLIMETRES] * 3))
    path.write_bytes(path.read_bytes()[:-5])
    assert "ends within frame 2" in _refused(path)
    path.write_bytes(b"no array")
    assert "cannot be read" in _refused(path)


def test_a_map_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = _array(tmp_path / "walk.npy", np.stack([MILLIMETRES] * 3))
    with pytest.raises(TooLargeError, match="66 pixels per frame"):
        _depth(path, limits=MediaLimits(max_pixels=60))
