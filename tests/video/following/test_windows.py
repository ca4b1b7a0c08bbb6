"""The window around people: smooth, inside the picture, and a function of what was found around a moment."""

from itertools import pairwise

import numpy as np
import pytest

from cocon.video.following.boxes import Box
from cocon.video.following.rule import Following
from cocon.video.following.windows import WHOLE, PictureWindow, WindowTrack

RNG = np.random.default_rng(0)
SHAPE = (240, 320)
RATE = 30.0
SMALL = Box(0.1, 0.4, 0.2, 0.7)  # 32 × 72 pixels

Boxes = list[Box | None]


def _track(boxes: Boxes, following: Following | None = None, *, shape: tuple[int, int] = SHAPE) -> WindowTrack:
    track = WindowTrack(following or Following())
    for index, box in enumerate(boxes):
        track.add(index / RATE, box, *shape)
    return track


def _windows(
    boxes: Boxes, following: Following | None = None, *, shape: tuple[int, int] = SHAPE
) -> list[PictureWindow]:
    track = _track(boxes, following, shape=shape)
    return [track.at(index / RATE) for index in range(len(boxes))]


def _distance(a: PictureWindow, b: PictureWindow) -> float:
    return max(abs(a.x - b.x), abs(a.y - b.y), abs(a.side - b.side))


def test_nobody_is_the_middle_square() -> None:
    assert set(_windows([None] * 60)) == {WHOLE}
    assert WHOLE.pixels(240, 320) == (0, 40, 240)
    assert WHOLE.pixels(320, 240) == (40, 0, 240)
    assert WindowTrack(Following()).at(3.0) == WHOLE


def test_the_box_with_its_margin_lies_in_the_middle() -> None:
    window = _windows([SMALL] * 30)[15]
    assert window.side == pytest.approx(1.5 * 0.3)  # the longer side, of the short one
    top, left, side = window.pixels(*SHAPE)
    assert side == 108
    assert top == pytest.approx(0.55 * 240 - 54, abs=1)
    assert left == 0  # it would begin beyond the edge


def test_a_person_who_is_cut_off_stays_inside_the_picture() -> None:
    for box in (Box(0.0, 0.0, 0.1, 0.2), Box(0.9, 0.8, 1.0, 1.0), Box(0.0, 0.0, 1.0, 1.0)):
        for shape in ((240, 320), (320, 240), (100, 1000), (7, 9)):
            top, left, side = _windows([box] * 3, shape=shape)[1].pixels(*shape)
            assert 0 <= top <= shape[0] - side
            assert 0 <= left <= shape[1] - side


def _leaving(right: float) -> Boxes:
    """Boxes that go to the left until little of them is left inside the picture, whose first column is at `right`."""
    return [Box(max(right, 0.3 - 0.02 * index), 0.45, 0.5 - 0.02 * index, 0.55) for index in range(24)]


def test_somebody_who_leaves_the_picture_is_not_magnified_in_pieces() -> None:
    sides = [window.side for window in _windows(_leaving(0.0))]
    assert min(sides) == pytest.approx(max(sides))
    behind_a_pillar = [window.side for window in _windows(_leaving(0.02))]
    assert min(behind_a_pillar) < 0.9 * max(behind_a_pillar)


def test_a_tiny_box_is_not_magnified_without_end() -> None:
    assert {window.side for window in _windows([Box(0.5, 0.5, 0.5, 0.5)] * 5)} == {0.25}


def test_two_people_farther_apart_than_a_square_keep_their_middle() -> None:
    window = _windows([Box(0.0, 0.2, 1.0, 0.9)] * 5)[2]
    assert (window.x, window.side) == (pytest.approx(0.5), 1.0)


def test_jitter_hardly_moves_the_window() -> None:
    jittered: Boxes = [Box(*(np.array(SMALL) + 0.2 + RNG.normal(0, 0.02, 4))) for _ in range(120)]
    raw = _windows(jittered, Following(smoothing_seconds=0.0))
    smooth = _windows(jittered)
    steps = [max(_distance(*pair) for pair in pairwise(windows)) for windows in (raw, smooth)]
    assert steps[1] < 0.1 * steps[0]


def test_a_short_dropout_leaves_the_window_where_it_is() -> None:
    with_gap = _windows([*[SMALL] * 40, *[None] * 20, *[SMALL] * 40])
    whole = _windows([SMALL] * 100)
    assert max(map(_distance, with_gap, whole)) < 1e-9


def test_a_long_dropout_ends_in_the_middle_square_without_a_jump() -> None:
    windows = _windows([*[SMALL] * 60, *[None] * 120])
    assert windows[-1] == WHOLE
    assert _distance(windows[60 + 15 - 1], windows[30]) < 1e-9  # held for a second, less what smoothing sees ahead
    assert max(_distance(*pair) for pair in pairwise(windows)) < 0.08


def test_frames_beyond_its_reach_change_nothing() -> None:
    following = Following()
    boxes: Boxes = [None if chance < 0.3 else Box(*np.sort(RNG.random(4)).round(1)) for chance in RNG.random(300)]
    whole = _track(boxes, following)
    begin = 150
    part = WindowTrack(following)
    for index in range(begin - 1 - round(following.lead_seconds * RATE), 220):
        part.add(index / RATE, boxes[index], *SHAPE)
    for index in range(begin, 220 - 16):
        assert part.is_known(index / RATE)
        assert part.at(index / RATE) == whole.at(index / RATE)


def test_a_stream_knows_a_window_as_soon_as_its_boxes_came_and_forgets_them() -> None:
    boxes: Boxes = [None if chance < 0.3 else Box(*np.sort(RNG.random(4))) for chance in RNG.random(4000)]
    whole, stream, asked = _track(boxes), WindowTrack(Following()), 0
    for index, box in enumerate(boxes):
        stream.add(index / RATE, box, *SHAPE)
        while asked <= index and stream.is_known(asked / RATE):
            assert stream.at(asked / RATE) == whole.at(asked / RATE)
            asked += 1
            stream.forget_before(asked / RATE)
        assert index - asked <= 16
    assert len(stream._times) < 2000


def test_frames_much_nearer_than_a_cameras_do_not_wait_for_each_other_without_end() -> None:
    track = WindowTrack(Following())
    for index in range(66):
        track.add(index * 1e-6, SMALL, *SHAPE)
    assert track.is_known(0.0)
    assert not track.is_known(2e-6)


def test_a_window_means_the_same_in_pictures_of_other_sizes() -> None:
    window = _windows([Box(0.3, 0.2, 0.5, 0.8)] * 5)[2]
    large, small = window.pixels(960, 1280), window.pixels(120, 160)
    assert np.abs(np.array(large) / 8 - np.array(small)).max() <= 1


def test_boxes_that_come_rarely_count_as_long_as_they_are_held() -> None:
    track = WindowTrack(Following(smoothing_seconds=0.1, hold_seconds=2.0))
    track.add(0.0, SMALL, *SHAPE)
    assert track.at(1.5) == track.at(0.0)
    assert track.at(2.5) == WHOLE


@pytest.mark.parametrize(
    "wrong",
    [{"by": "depth"}, {"margin": -0.1}, {"smoothing_seconds": 3.0}, {"hold_seconds": float("nan")}, {"least_share": 0}],
)
def test_values_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"following.{next(iter(wrong))}"):
        Following(**wrong)  # type: ignore[arg-type]
