"""Views made visible: what the colours mean, and where a skeleton and a mask change a picture."""

import colorsys

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.estimation.flow import flow_to_bytes
from cocon.video.estimation.pose import COCO_KEYPOINTS
from cocon.video.pictures.drawing import (
    LEFT_COLOUR,
    OUTLINE_COLOUR,
    RIGHT_COLOUR,
    colour_wheel,
    draw_mask,
    draw_skeleton,
    flow_colours,
)

Pixels = NDArray[np.uint8]

HEIGHT, WIDTH = 120, 160


@pytest.fixture
def picture() -> Pixels:
    return np.random.default_rng(0).integers(90, 130, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def _colour(x: float, y: float) -> tuple[int, int, int]:
    red, green, blue = flow_colours(flow_to_bytes(np.array([x, y])), full_px=5.0)
    return int(red), int(green), int(blue)


def _hue_degrees(degrees: float, px: float = 8.0) -> float:
    red, green, blue = _colour(px * np.cos(np.radians(degrees)), px * np.sin(np.radians(degrees)))
    return colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0] * 360


def _person(score: float = 0.9, **at: tuple[float, float]) -> NDArray[np.float32]:
    points = np.zeros((1, 17, 3), np.float32)
    for name, (x, y) in at.items():
        points[0, COCO_KEYPOINTS.index(name)] = (x, y, score)
    return points


def _distance_to_segment(start: tuple[float, float], end: tuple[float, float]) -> NDArray[np.float64]:
    """Of every pixel's centre, [HEIGHT, WIDTH]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    (x0, y0), (x1, y1) = start, end
    along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
    return np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))


def _changed(before: Pixels, after: Pixels) -> NDArray[np.bool_]:
    return (before != after).any(axis=2)


def _is_yellow(pixels: Pixels) -> NDArray[np.bool_]:
    """Nearer to the outline's colour than to any grey."""
    return (pixels[..., :2].min(axis=2).astype(int) - pixels[..., 2]) > (OUTLINE_COLOUR[1] - OUTLINE_COLOUR[2]) / 2


def _reference_wheel() -> NDArray[np.float64]:
    """The 55 colours of Baker et al., as their `makecolorwheel` builds them: vision.middlebury.edu/flow."""
    lengths = {"RY": 15, "YG": 6, "GC": 4, "CB": 11, "BM": 13, "MR": 6}
    rows = []
    for (name, length), (fixed, rising, falling) in zip(
        lengths.items(),
        [(0, 1, None), (1, None, 0), (1, 2, None), (2, None, 1), (2, 0, None), (0, None, 2)],
        strict=True,
    ):
        assert len(name) == 2
        for step in range(length):
            colour = np.zeros(3)
            colour[fixed] = 255
            if rising is not None:
                colour[rising] = np.floor(255 * step / length)
            if falling is not None:
                colour[falling] = 255 - np.floor(255 * step / length)
            rows.append(colour)
    return np.array(rows)


def _reference_colour(x: float, y: float) -> NDArray[np.float64]:
    """`computeColor` of the same code, for vectors of length up to 1."""
    wheel = _reference_wheel()
    position = (np.arctan2(-y, -x) / np.pi + 1) / 2 * (len(wheel) - 1)
    below = int(position)
    colour = wheel[below] + (position - below) * (wheel[(below + 1) % len(wheel)] - wheel[below])
    return 255 - np.hypot(x, y) * (255 - colour)


def test_rest_is_white_and_right_is_red() -> None:
    assert _colour(0, 0) == (255, 255, 255)
    assert _colour(5, 0) == (255, 0, 0)


def test_colours_are_those_of_the_middlebury_code() -> None:
    rng = np.random.default_rng(0)
    for angle, length in zip(rng.uniform(0, 2 * np.pi, 300), rng.uniform(0.1, 1.0, 300), strict=True):
        x, y = length * np.cos(angle), length * np.sin(angle)
        # Theirs takes 54 of its 55 steps around the circle: ours is up to one step, 255 / 6 at the steepest, ahead.
        colour = flow_colours(flow_to_bytes(np.array([x, y]) * 20), full_px=20.0)
        assert np.abs(colour - _reference_colour(x, y)).max() <= 43


def test_opposite_directions_have_far_hues() -> None:
    for degrees in range(0, 360, 5):
        apart = abs(_hue_degrees(degrees) - _hue_degrees(degrees + 180))
        assert min(apart, 360 - apart) > 120


def test_the_hue_does_not_depend_on_the_magnitude() -> None:
    for degrees in range(0, 360, 45):
        assert abs((_hue_degrees(degrees, 4.0) - _hue_degrees(degrees, 8.0) + 180) % 360 - 180) < 8


def test_saturation_grows_with_the_magnitude_and_stays_full() -> None:
    greens = [_colour(length, 0)[1] for length in (0, 1, 2, 3, 4, 5, 8, 20, 50)]
    assert greens[:6] == sorted(greens[:6], reverse=True)
    assert len(set(greens[:6])) == 6
    assert greens[5:] == [0, 0, 0, 0]


def test_the_wheel_is_a_disc_that_shows_the_colour_of_each_direction() -> None:
    wheel, coverage = colour_wheel(45)
    assert wheel[22, 22].tolist() == [255, 255, 255]
    assert np.abs(wheel[22, 44].astype(int) - (255, 6, 6)).max() <= 6
    below = np.array(_colour(0, 5))
    assert np.abs(wheel[44, 22].astype(int) - below).max() <= 10
    assert (coverage[22, 22], coverage[0, 0], coverage[44, 44]) == (1, 0, 0)
    assert abs(coverage.sum() - np.pi * 22.5**2) < 5


def test_a_limb_changes_pixels_along_it_and_nowhere_else(picture: Pixels) -> None:
    before = picture.copy()
    shoulder, elbow = (40.0, 30.0), (110.0, 80.0)
    drawn = draw_skeleton(picture, _person(left_shoulder=shoulder, left_elbow=elbow))
    changed, distance = _changed(picture, drawn), _distance_to_segment(shoulder, elbow)
    assert changed[distance < 0.8].all()
    assert not changed[distance > 6].any()
    assert np.array_equal(picture, before)


def test_left_right_and_middle_have_their_colours(picture: Pixels) -> None:
    shoulders = {"left_shoulder": (120.0, 30.5), "right_shoulder": (40.0, 30.5)}
    elbows = {"left_elbow": (120.0, 100.5), "right_elbow": (40.0, 100.5)}
    drawn = draw_skeleton(picture, _person(**shoulders, **elbows))
    assert drawn[65, 119].tolist() == list(LEFT_COLOUR)
    assert drawn[65, 39].tolist() == list(RIGHT_COLOUR)
    assert len({*drawn[30, 80].tolist()}) == 1
    assert drawn[30, 80, 0] > 200


def test_an_unsure_point_is_faint_and_its_limbs_with_it(picture: Pixels) -> None:
    person = _person(left_shoulder=(40.0, 30.0), left_elbow=(110.0, 30.0), left_wrist=(110.0, 90.0))
    sure = draw_skeleton(picture, person)
    person[0, COCO_KEYPOINTS.index("left_wrist"), 2] = 0.49
    faint = draw_skeleton(picture, person)
    assert np.array_equal(sure[30, 45:90], faint[30, 45:90])
    strong, weak = (np.abs(image[60, 109].astype(int) - picture[60, 109]).sum() for image in (sure, faint))
    assert 0 < weak < strong / 2


@pytest.mark.parametrize("value", [(50.0, 50.0, 0.0), (np.nan, 50.0, 0.9), (50.0, 50.0, np.nan), (np.inf, 50.0, 0.9)])
def test_what_has_no_score_or_place_is_not_drawn(value: tuple[float, float, float], picture: Pixels) -> None:
    person = np.zeros((1, 17, 3), np.float16)
    person[:, :] = value
    assert np.array_equal(draw_skeleton(picture, person), picture)


def test_a_limb_to_a_point_far_outside_is_drawn_as_far_as_the_picture_goes(picture: Pixels) -> None:
    drawn = draw_skeleton(picture, _person(left_shoulder=(80.0, 60.5), left_elbow=(65000.0, 60.5)))
    assert _changed(picture, drawn)[60, 85:].all()
    assert not _changed(picture, drawn)[:, :70].any()


def test_nobody_and_several_people(picture: Pixels) -> None:
    assert np.array_equal(draw_skeleton(picture, np.zeros((0, 17, 3), np.float16)), picture)
    one, other = _person(nose=(30.0, 30.0)), _person(nose=(120.0, 90.0))
    both = _changed(picture, draw_skeleton(picture, np.concatenate([one, other])))
    assert both[30, 30]
    assert both[90, 120]


def test_people_keep_their_colours_and_the_ground_turns_grey(picture: Pixels) -> None:
    before = picture.copy()
    mask = np.zeros((12, 16, 1), np.uint8)
    mask[:, :8] = 255
    drawn = draw_mask(picture, mask)
    assert np.array_equal(drawn[3:-3, 3:70], picture[3:-3, 3:70])
    ground = drawn[:, 90:].astype(int)
    assert (ground == ground[..., :1]).all()
    assert ground.mean() < picture[:, 90:].mean() / 2
    assert np.array_equal(picture, before)


def test_the_outline_runs_where_the_probability_passes_one_half(picture: Pixels) -> None:
    mask = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    mask[40:80, 50:110] = 255
    is_yellow = _is_yellow(draw_mask(picture, mask))
    assert is_yellow[40, 52:108].all()
    assert is_yellow[42:78, 50].all()
    inside, outside = is_yellow[45:75, 55:105], is_yellow.copy()
    outside[37:83, 47:113] = False
    assert not inside.any()
    assert not outside.any()
    mask[mask > 0] = 127
    assert not _is_yellow(draw_mask(picture, mask)).any()
