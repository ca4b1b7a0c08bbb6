"""Resizing the short side and cropping the centre."""

import numpy as np
import pytest

from cocon.video.geometry import Geometry, centre_crop, resize, resize_short_side, resized_shape

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 240), (1080, 1920), (128, 128), (33, 1000), (90, 91)])
@pytest.mark.parametrize("short_side", [64, 128])
def test_the_short_side_gets_its_length_and_the_aspect_ratio_stays(height: int, width: int, short_side: int) -> None:
    shape = resized_shape(height, width, short_side)
    assert min(shape) == short_side
    assert abs(max(shape) - short_side * max(height, width) / min(height, width)) <= 0.5
    assert (shape[0] <= shape[1]) == (height <= width)


@pytest.mark.parametrize("channels", [1, 2, 3, 17])
@pytest.mark.parametrize("side", [10, 40])
def test_resizing_keeps_any_number_of_channels(channels: int, side: int) -> None:
    pixels = RNG.integers(0, 256, (20, 30, channels), dtype=np.uint8)
    resized = resize_short_side(pixels, side)
    assert resized.shape == (side, side * 3 // 2, channels)
    assert resized.dtype == np.uint8


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    pixels = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert resize(pixels, 20, 30) is pixels


@pytest.mark.parametrize("factor", [2, 4, 5])
def test_shrinking_averages_areas(factor: int) -> None:
    pixels = RNG.integers(0, 256, (4 * factor, 6 * factor, 2), dtype=np.uint8)
    means = pixels.reshape(4, factor, 6, factor, 2).mean(axis=(1, 3))
    assert np.abs(resize(pixels, 4, 6) - means).max() <= 0.5 + 1e-6


def test_enlarging_interpolates_between_neighbours() -> None:
    enlarged = resize(np.array([[[0], [100]]], np.uint8), 2, 4)
    assert enlarged[0, :, 0].tolist() == [0, 25, 75, 100]


@pytest.mark.parametrize(("height", "width"), [(10, 16), (16, 10), (9, 15)])
def test_the_crop_is_in_the_middle_of_every_frame(height: int, width: int) -> None:
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    pixels = np.stack([rows, columns], axis=-1).astype(np.uint8)[None].repeat(3, axis=0)  # [3, H, W, 2]
    cropped = centre_crop(pixels, 6)
    assert cropped.shape == (3, 6, 6, 2)
    assert np.array_equal(cropped[0], cropped[2])
    for axis, length in enumerate((height, width)):
        left, right = cropped[..., axis].min(), length - 1 - cropped[..., axis].max()
        assert abs(int(left) - int(right)) <= 1


@pytest.mark.parametrize(("resize_px", "crop_px"), [(128, 129), (128, 0), (0, 0), (64, -1)])
def test_a_crop_must_fit_into_the_resized_picture(resize_px: int, crop_px: int) -> None:
    with pytest.raises(ValueError, match="crop_px"):
        Geometry(resize_px, crop_px)
