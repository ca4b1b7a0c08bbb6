"""Which pixels each test crop holds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.training.data.augment import centred_clip
from cocon.training.data.reading.decoded_video import DecodedView
from cocon.training.evaluation.recognition.blocks import ClipProtocol, cropped_clips

INDICES = np.array([[0, 2], [1, 1]])


def _crops(pixels: NDArray[np.uint8], view: str, num_crops: int) -> list[NDArray[np.uint8]]:
    video = DecodedView(np.arange(len(pixels)) / 10, pixels, None, *pixels.shape[1:3])
    return list(cropped_clips(video, view, INDICES, 4, num_crops=num_crops))


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, 6, 8, 2), dtype=np.uint8)


def test_five_crops_are_the_centre_and_the_corners(pixels: NDArray[np.uint8]) -> None:
    frames = pixels[INDICES]
    places = [(1, 2), (0, 0), (0, 4), (2, 0), (2, 4)]
    crops = _crops(pixels, "flow", 5)
    assert len(crops) == 5
    for crop, (top, left) in zip(crops, places, strict=True):
        assert np.array_equal(crop, frames[:, :, top : top + 4, left : left + 4])


def test_one_crop_is_what_a_served_model_sees(pixels: NDArray[np.uint8]) -> None:
    video = DecodedView(np.arange(3) / 10, pixels, None, 6, 8)
    (crop,) = _crops(pixels, "flow", 1)
    assert np.array_equal(crop, centred_clip(video, INDICES, 4))
    assert np.array_equal(crop, _crops(pixels, "flow", 5)[0])


def test_ten_crops_are_five_and_what_a_mirrored_video_shows_there(pixels: NDArray[np.uint8]) -> None:
    five, ten = _crops(pixels, "flow", 5), _crops(pixels, "flow", 10)
    assert len(ten) == 10
    for plain, crop, flipped in zip(five, ten[::2], ten[1::2], strict=True):
        assert np.array_equal(crop, plain)
        sideways = 256 - plain[..., ::-1, 0].astype(int)
        assert np.array_equal(flipped[..., 0], np.minimum(sideways, 255))
        assert np.array_equal(flipped[..., 1], plain[..., ::-1, 1])


def test_another_number_of_crops_is_refused(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"num_crops \(3\) must be one of \(1, 5, 10\)"):
        _crops(pixels, "flow", 3)


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        (ClipProtocol(), "8 blocks, one every 4; the centre crop of each"),
        (ClipProtocol(5, hop_blocks=6), "8 blocks, one every 6; 5 crops of each"),
        (ClipProtocol(10, num_clips=10), "8 blocks, 10 spread evenly over each video; 10 crops of each"),
    ],
)
def test_a_protocol_tells_which_clips_it_takes(protocol: ClipProtocol, told: str) -> None:
    assert protocol.told(8) == told


def test_a_hop_and_a_number_of_clips_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r"a hop of 2 blocks and a number of clips \(10\) exclude each other"):
        ClipProtocol(hop_blocks=2, num_clips=10)
