"""Estimated flow: every algorithm sees a square move, at any size and shape of picture, whatever it saw before."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.estimation.flow import FLOW_ALGORITHMS, FlowAlgorithm, FlowSpec, estimate_flow, flow_from_bytes

Pixels = NDArray[np.uint8]
SquareAt = Callable[[float, float], Pixels]


def _noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _enlarged(pixels: Pixels, height: int, width: int) -> Pixels:
    return pixels.repeat(height // pixels.shape[0], axis=0).repeat(width // pixels.shape[1], axis=1)


@pytest.mark.parametrize("algorithm", FLOW_ALGORITHMS)
@pytest.mark.parametrize("size_px", [64, 96, 128])
def test_every_algorithm_measures_a_moved_square_at_the_size_asked_for(
    algorithm: FlowAlgorithm, size_px: int, square_at: SquareAt
) -> None:
    flow = estimate_flow(square_at(20, 30), square_at(24, 28), FlowSpec(algorithm=algorithm, size_px=size_px))
    assert (flow.shape, flow.dtype) == ((size_px, size_px, 2), np.uint8)
    scale = size_px / 96
    displacements = flow_from_bytes(flow)
    top, left = round(36 * scale), round(26 * scale)
    inside = displacements[top : top + round(20 * scale), left : left + round(20 * scale)].reshape(-1, 2)
    assert np.median(inside, axis=0) == pytest.approx([4 * scale, -2 * scale], abs=0.25)
    assert np.abs(displacements[: round(10 * scale)]).max() < 0.5  # the background rests


def test_the_size_of_the_pictures_does_not_change_what_a_byte_means(square_at: SquareAt) -> None:
    spec = FlowSpec(size_px=96)
    small = estimate_flow(square_at(20, 30), square_at(24, 28), spec)
    large = [_enlarged(square_at(x, y), 288, 288) for x, y in ((20, 30), (24, 28))]
    assert np.array_equal(estimate_flow(large[0], large[1], spec), small)


def test_a_frame_of_another_size_is_measured_at_the_size_of_the_first(square_at: SquareAt) -> None:
    spec = FlowSpec(size_px=96)
    later = _enlarged(square_at(24, 28), 192, 96)
    same = estimate_flow(square_at(20, 30), square_at(24, 28), spec)
    assert np.array_equal(estimate_flow(square_at(20, 30), later, spec), same)


@pytest.mark.parametrize("algorithm", FLOW_ALGORITHMS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (1, 2), (3, 5), (16, 16), (15, 31), (2, 30), (30, 2), (2, 400), (400, 2), (1, 1000)]
)
def test_no_picture_is_too_small_or_too_long(shape: tuple[int, int], algorithm: FlowAlgorithm) -> None:
    spec = FlowSpec(algorithm=algorithm, size_px=16)
    flow = estimate_flow(_noise(*shape), _noise(*shape, seed=1), spec)
    assert min(flow.shape[:2]) == 16
    assert flow.shape[0] / flow.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.04)
    if max(shape) > 16 * min(shape):
        assert set(flow.ravel()) == {128}


@pytest.mark.parametrize("algorithm", FLOW_ALGORITHMS)
def test_a_picture_that_does_not_change_has_no_flow(algorithm: FlowAlgorithm) -> None:
    spec = FlowSpec(algorithm=algorithm, size_px=32)
    for pixels in (np.full((48, 64, 3), 77, np.uint8), _noise(48, 64)):
        assert set(estimate_flow(pixels, pixels, spec).ravel()) == {128}


@pytest.mark.parametrize("algorithm", FLOW_ALGORITHMS)
def test_what_was_estimated_before_does_not_change_a_flow(algorithm: FlowAlgorithm) -> None:
    sizes = [16, 40, 40, 24, 64, 16, 40, 64]
    pairs = [(_noise(40 + size, 60, index), _noise(40 + size, 60, index + 1)) for index, size in enumerate(sizes)]
    specs = [FlowSpec(algorithm=algorithm, size_px=size) for size in sizes]
    in_a_row = [estimate_flow(*pair, spec) for pair, spec in zip(pairs, specs, strict=True)]
    for expected, pair, spec in zip(in_a_row, pairs, specs, strict=True):
        assert np.array_equal(_in_a_new_thread(*pair, spec), expected)


def _in_a_new_thread(first: Pixels, later: Pixels, spec: FlowSpec) -> Pixels:
    flows: list[Pixels] = []
    thread = threading.Thread(target=lambda: flows.append(estimate_flow(first, later, spec)))
    thread.start()
    thread.join()
    return flows[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "raft"}, "flow.algorithm 'raft' is unknown; known ones: dis, tvl1, farneback"),
        ({"size_px": 15}, "flow.size_px (15) must be at least 16"),
        ({"interval_seconds": 0.0}, "flow.interval_seconds (0.0) must be positive"),
        ({"interval_seconds": float("nan")}, "flow.interval_seconds (nan) must be positive"),
        ({"interval_seconds": float("inf")}, "flow.interval_seconds (inf) must be positive"),
    ],
)
def test_a_flow_that_nothing_can_measure_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match="flow") as caught:
        FlowSpec(**changes)  # type: ignore[arg-type]  # wrong on purpose
    assert str(caught.value) == message
