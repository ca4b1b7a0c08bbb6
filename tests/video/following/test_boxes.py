"""Where people are: boxes of key points and of masks."""

import numpy as np
import pytest

from cocon.video.following.boxes import Box, box_of


def _person(left: float, top: float, right: float, bottom: float, score: float = 0.9) -> np.ndarray:
    points = np.zeros((17, 3), np.float16)
    points[:, 0] = np.linspace(left, right, 17)
    points[:, 1] = np.linspace(top, bottom, 17)
    points[:, 2] = score
    return points


def test_the_box_of_key_points_is_in_shares() -> None:
    assert box_of("pose", _person(20, 10, 60, 90)[None], 100, 200) == Box(0.1, 0.1, 0.3, 0.9)


def test_two_people_have_one_box_around_both() -> None:
    points = np.stack([_person(20, 10, 60, 90), _person(100, 50, 180, 60), np.zeros((17, 3), np.float16)])
    assert box_of("pose", points, 100, 200) == Box(0.1, 0.1, 0.9, 0.9)


def test_points_beyond_the_edge_lie_on_it() -> None:
    assert box_of("pose", _person(-40, 50, 60, 250)[None], 100, 200) == Box(0.0, 0.5, 0.3, 1.0)


def test_nobody_has_no_box() -> None:
    unsure = _person(20, 10, 60, 90, score=0.2)
    unsure[:2, 2] = 0.9
    strange = _person(20, 10, 60, 90)
    strange[:, 0] = np.nan
    for row in (np.zeros((1, 17, 3), np.float16), np.zeros((0, 17, 3), np.float16), unsure[None], strange[None]):
        assert box_of("pose", row, 100, 200) is None
    assert box_of("mask", np.full((50, 50, 1), 127, np.uint8), 100, 100) is None


def test_the_box_of_a_mask_leaves_specks_out() -> None:
    mask = np.zeros((100, 200, 1), np.uint8)
    mask[20:80, 50:100] = 255
    expected = Box(0.25, 0.2, 0.5, 0.8)
    assert box_of("mask", mask, 999, 999) == pytest.approx(expected, abs=0.011)
    mask[5, 190:195] = 200
    assert box_of("mask", mask, 999, 999) == pytest.approx(expected, abs=0.011)


def test_the_mask_of_the_whole_picture_is_the_whole_picture() -> None:
    assert box_of("mask", np.full((40, 60, 1), 255, np.uint8), 40, 60) == Box(0.0, 0.0, 1.0, 1.0)
