"""The parts of stored frames that windows show."""

import numpy as np

from cocon.video.estimation.flow import flow_from_bytes, flow_to_bytes
from cocon.video.following.windows import WHOLE, PictureWindow
from cocon.video.store.stored_view import StoredView

RNG = np.random.default_rng(0)
TIMES = np.arange(3) / 10
QUARTER = PictureWindow(0.25, 0.25, 0.5)


def _frames(view: str, channels: int) -> StoredView:
    return StoredView(view, TIMES, RNG.integers(0, 256, (3, 40, 60, channels), np.uint8), None, 40, 60, {})


def _pose(x: float, y: float, score: float = 1.0) -> StoredView:
    points = np.full((3, 1, 17, 3), (x, y, score), np.float16)
    return StoredView("pose", TIMES, None, points, 40, 60, {})


def test_a_part_that_need_not_be_resized_is_those_pixels() -> None:
    stored = _frames("mask", 1)
    part = stored.within([0, 2], [WHOLE, QUARTER], 20)
    assert part.pixels is not None and stored.pixels is not None
    assert np.array_equal(part.pixels[1], stored.pixels[2, 0:20, 5:25])
    assert (part.height, part.width, part.timestamps.tolist()) == (20, 20, [0.0, 0.2])
    part.check()


def test_flow_vectors_grow_with_the_picture() -> None:
    pixels = np.tile(flow_to_bytes(np.array([1.5, -2.0])), (3, 40, 60, 1))
    part = StoredView("flow", TIMES, pixels, None, 40, 60, {}).within([1], [QUARTER], 80)
    assert part.pixels is not None
    assert np.allclose(flow_from_bytes(part.pixels), (6.0, -8.0), atol=0.4)


def test_key_points_are_in_pixels_of_the_part() -> None:
    part = _pose(25.0, 10.0).within([0, 1, 2], [QUARTER] * 3, 40)
    assert part.keypoints is not None
    assert np.allclose(part.keypoints, (20 + 2 * (25 - 15), 20.0, 1.0))
    assert part.frames([0], height=40, width=40).shape == (1, 40, 40, 17)
    part.check()


def test_a_frame_without_anybody_stays_one() -> None:
    nobody = _pose(0.0, 0.0, 0.0).within([0], [QUARTER], 40)
    assert nobody.keypoints is not None and not nobody.keypoints.any()


def test_pixels_and_key_points_of_one_window_agree() -> None:
    mask = np.zeros((3, 40, 60, 1), np.uint8)
    mask[:, 12, 22] = 255
    window = [PictureWindow(0.4, 0.35, 0.6)]
    seen = StoredView("mask", TIMES, mask, None, 40, 60, {}).within([0], window, 96).pixels
    point = _pose(22.5, 12.5).within([0], window, 96).keypoints
    assert seen is not None and point is not None
    brightest = np.array(np.unravel_index(seen[0, ..., 0].argmax(), (96, 96)))
    assert np.abs(brightest + 0.5 - point[0, 0, 0, 1::-1].astype(float)).max() <= 3
