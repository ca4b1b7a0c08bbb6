"""Flow bytes, and which frame flow is measured to."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.estimation.flow import (
    flow_from_bytes,
    flow_to_bytes,
    resize_flow_bytes,
    with_later_frame,
)

Pixels = NDArray[np.uint8]


def test_a_byte_is_128_plus_the_displacement_times_127_over_20() -> None:
    displacements = np.array([0, 20, -20, 1, -1, 10, 1000, -1000], np.float32)
    assert flow_to_bytes(displacements).tolist() == [128, 255, 1, 134, 122, 192, 255, 1]


def test_bytes_give_the_displacement_back_to_half_a_byte() -> None:
    displacements = np.linspace(-20, 20, 1001, dtype=np.float32)
    assert np.abs(flow_from_bytes(flow_to_bytes(displacements)) - displacements).max() <= 0.5 * 20 / 127 + 1e-5


def test_every_byte_but_zero_survives_the_round_trip() -> None:
    pixels = np.arange(1, 256, dtype=np.uint8)
    assert np.array_equal(flow_to_bytes(flow_from_bytes(pixels)), pixels)


def test_opposite_displacements_are_mirrored_around_128() -> None:
    displacements = np.linspace(0, 25, 101, dtype=np.float32) + np.float32(0.001)
    sums = flow_to_bytes(displacements).astype(int) + flow_to_bytes(-displacements)
    assert set(sums.tolist()) == {256}


@pytest.mark.parametrize("factor", [2, 3])
def test_bytes_of_a_larger_picture_are_the_bytes_of_longer_displacements(factor: int) -> None:
    for byte in range(1, 256):
        pixels = np.full((4, 4, 2), byte, np.uint8)
        expected = flow_to_bytes(flow_from_bytes(pixels[0, 0]) * np.float32(factor)).astype(int)
        resized = resize_flow_bytes(pixels, 4 * factor, 4 * factor)
        assert np.abs(resized - expected).max() <= 1
    assert set(resize_flow_bytes(np.full((4, 4, 2), 128, np.uint8), 8, 8).ravel()) == {128}


def test_vectors_keep_their_share_of_the_picture_when_it_is_resized() -> None:
    pixels = flow_to_bytes(np.tile(np.array([6.0, -4.0], np.float32), (12, 20, 1)))
    for height, width in ((24, 40), (6, 10), (12, 20), (3, 20), (24, 10)):
        resized = resize_flow_bytes(pixels, height, width)
        assert (resized.shape, resized.dtype) == ((height, width, 2), np.uint8)
        expected = [6.0 * width / 20, -4.0 * height / 12]
        assert np.allclose(flow_from_bytes(resized), expected, atol=0.2)
    assert np.array_equal(resize_flow_bytes(pixels, 12, 20), pixels)


def test_a_vector_longer_than_a_byte_holds_is_cut_rather_than_wrapped() -> None:
    pixels = flow_to_bytes(np.tile(np.array([15.0, -15.0], np.float32), (4, 4, 1)))
    assert set(map(tuple, resize_flow_bytes(pixels, 8, 8).reshape(-1, 2))) == {(255, 1)}


def _reference_partner(times: NDArray[np.float64], index: int, interval: float) -> float:
    return float(np.abs(times - times[index] - interval).min())


@pytest.mark.parametrize("interval", [0.001, 1 / 30, 1 / 15, 0.5, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_every_frame_is_paired_with_the_one_nearest_to_the_interval_later(interval: float, seed: int) -> None:
    times = np.cumsum(np.random.default_rng(seed).integers(5, 90, 40)) / 1000
    stream = [(float(seconds), np.array([index], np.uint8)) for index, seconds in enumerate(times)]
    pairs = list(with_later_frame(stream, interval))
    assert [seconds for seconds, _ in pairs] == times.tolist()
    assert [int(first[0]) for _, (first, _) in pairs] == list(range(40))
    for index, (_, (_, later)) in enumerate(pairs):
        offset = abs(times[int(later[0])] - times[index] - interval)
        assert offset == pytest.approx(_reference_partner(times, index, interval), abs=1e-9)


def test_at_thirty_frames_per_second_flow_is_measured_over_two_frames() -> None:
    stream = [(index / 30, np.array([index], np.uint8)) for index in range(10)]
    partners = [int(later[0]) for _, (_, later) in with_later_frame(stream, 1 / 15)]
    assert partners == [2, 3, 4, 5, 6, 7, 8, 9, 9, 9]


def test_no_frames_make_no_pairs() -> None:
    assert list(with_later_frame([], 0.1)) == []
