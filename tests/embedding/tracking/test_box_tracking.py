"""Tracking of a box: it is read back to a fraction of a cell, follows its target, and waits where it was lost."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.tracking.box_tracking import (
    TrackedBox,
    box_of_labels,
    box_to_labels,
    labels_around,
    tracked_boxes,
)
from cocon.embedding.tracking.cell_grid import CellGrid
from cocon.embedding.tracking.propagation import Propagation

Floats = NDArray[np.float32]
Box = NDArray[np.float64]

CELL_PX = 8
NEAR = Propagation(num_context=3, num_neighbours=5, radius_cells=4.0)


def _box(*numbers: float) -> Box:
    return np.array(numbers, np.float64)


def _grid(height: int, width: int, rows: int, columns: int) -> CellGrid:
    return CellGrid.of_picture(height, width, rows=rows, columns=columns)


def _overlap(a: Box, b: Box) -> float:
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.clip(sides, 0, None).prod())
    return shared / (float(a[2:].prod()) + float(b[2:].prod()) - shared)


def _texture(rng: np.random.Generator, depth: int = 12, side: int = 320) -> Floats:
    """Blotches of about a cell, without seam: `float32 [side, side, D]`."""
    small = rng.standard_normal((side // CELL_PX, side // CELL_PX, depth))
    large = small.repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1)
    for axis in (0, 1):  # rounder than squares
        large = sum(np.roll(large, shift, axis) for shift in range(-3, 4))
    return (large / large.std()).astype(np.float32)


def _video(boxes: list[Box], height: int = 120, width: int = 176, offset_px: int = 0) -> list[Floats]:
    """Mean colours of cells, where a textured box of changing place and size lies on a texture that drifts slowly.

    Cells look at what is so many pixels to the left and above.
    """
    rng = np.random.default_rng(0)
    ground, target = _texture(rng), _texture(rng)
    y, x = np.mgrid[:height, :width] - offset_px
    maps = []
    for frame, (left, top, box_width, box_height) in enumerate(boxes):
        u, v = (x - left) / box_width, (y - top) / box_height
        is_target = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        first_width, first_height = boxes[0][2:]
        on_target = target[(v * first_height).astype(int) % 320, (u * first_width).astype(int) % 320]
        pixels = np.where(is_target[..., None], on_target, ground[y % 320, (x + frame // 2) % 320])
        cells = pixels.reshape(height // CELL_PX, CELL_PX, width // CELL_PX, CELL_PX, -1).mean(axis=(1, 3))
        maps.append((cells + 0.2 * rng.standard_normal(cells.shape)).astype(np.float32))
    return maps


def _tracked(boxes: list[Box], **options: float) -> list[TrackedBox]:
    return list(tracked_boxes(_video(boxes), boxes[0], 120, 176, NEAR, **options))


def test_labels_are_the_share_of_every_cell_that_is_covered() -> None:
    box, rows, columns = _box(13, 7, 31, 22), 6, 10  # in a picture whose cells are 8 × 5 pixels
    labels = box_to_labels(box, _grid(30, 80, rows, columns))
    assert (labels.dtype, labels.shape) == (np.float32, (rows, columns, 1))
    pixels = np.zeros((30, 80))
    pixels[7:29, 13:44] = 1
    np.testing.assert_allclose(labels[..., 0], pixels.reshape(rows, 5, columns, 8).mean(axis=(1, 3)), atol=1e-6)


def test_a_box_that_sticks_out_covers_what_is_inside() -> None:
    outside, inside = _box(-10, 20, 30, 100), _box(0, 20, 20, 28)
    expected = box_to_labels(inside, _grid(48, 64, 6, 8))
    np.testing.assert_array_equal(box_to_labels(outside, _grid(48, 64, 6, 8)), expected)


@pytest.mark.parametrize("numbers", [(64, 0, 5, 5), (-9, 0, 9, 5), (0, 50, 9, 9), (0, 0, 0, 5), (0, 0, 5, -1)])
def test_a_box_without_a_pixel_is_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"box .* (lies outside|positive)"):
        box_to_labels(_box(*numbers), _grid(48, 64, 6, 8))
    with pytest.raises(ValueError, match="finite"):
        box_to_labels(_box(0, 0, np.nan, 5), _grid(48, 64, 6, 8))


def test_a_box_is_read_back_to_a_fraction_of_a_cell() -> None:
    rng, grid = np.random.default_rng(0), _grid(160, 240, 20, 30)
    errors = []
    for _ in range(200):
        sides = rng.uniform(3 * 8, 80, 2)
        box = np.concatenate([rng.uniform(0, [240 - sides[0], 160 - sides[1]]), sides])
        read = box_of_labels(box_to_labels(box, grid)[..., 0], grid)
        errors += [*(read[:2] - box[:2]), *(read[:2] + read[2:] - box[:2] - box[2:])]
    assert np.abs(errors).mean() / 8 < 0.005
    assert np.abs(errors).max() / 8 < 0.15


def test_labels_far_from_the_last_box_do_not_count() -> None:
    box, other = _box(16, 16, 32, 32), _box(160, 80, 60, 60)
    grid = _grid(160, 240, 20, 30)
    labels = sum(0.9 * box_to_labels(each, grid) for each in (box, other, other))
    np.testing.assert_allclose(box_of_labels(labels_around(labels, box, grid), grid), box, atol=1e-3)
    assert _overlap(box_of_labels(labels[..., 0], grid), other) > 0.9
    assert not labels_around(labels, _box(70, 110, 20, 20), grid).any()


@pytest.mark.parametrize("growth", [0.99, 1.0, 1.012])
def test_a_target_that_moves_and_grows_is_followed(growth: float) -> None:
    boxes = [_box(20 + 2.7 * f, 25 + 1.1 * f, 40 * growth**f, 36 * growth**f) for f in range(25)]
    tracked = _tracked(boxes)
    overlaps = [_overlap(each.box, box) for each, box in zip(tracked, boxes, strict=True)]
    assert not any(each.is_lost for each in tracked)
    assert np.mean(overlaps) > 0.75
    assert min(overlaps) > 0.5
    assert np.mean([_overlap(boxes[0], box) for box in boxes]) < 0.5
    np.testing.assert_array_equal(tracked[0].box, boxes[0])


def test_a_target_that_vanishes_leaves_its_last_box_and_is_found_again() -> None:
    gone = _box(400, 300, 40, 40)
    there, back = _box(24, 40, 40, 40), _box(120, 40, 40, 40)
    tracked = _tracked([there] * 3 + [gone] * 4 + [back] * 3)
    assert [each.is_lost for each in tracked] == [False] * 3 + [True] * 4 + [False] * 3
    assert all(np.array_equal(each.box, tracked[2].box) for each in tracked[3:7])
    assert min(each.score for each in tracked[7:]) > 0.8
    assert _overlap(tracked[-1].box, back) > 0.6


def test_a_target_that_comes_into_the_picture_is_followed_by_what_was_seen_of_it_at_first() -> None:
    boxes = [_box(-16 + 4 * f, 40, 56, 40) for f in range(10)]
    tracked = _tracked(boxes)
    np.testing.assert_array_equal(tracked[0].box, boxes[0])
    assert _overlap(tracked[-1].box, _box(36, 40, 40, 40)) > 0.7


def test_cells_may_look_to_the_left_and_above() -> None:
    boxes = [_box(30 + 2.7 * f, 25 + 1.1 * f, 40, 36) for f in range(12)]
    maps = _video(boxes, offset_px=CELL_PX // 2)
    aware, unaware = (
        [each.box for each in tracked_boxes(maps, boxes[0], 120, 176, NEAR, offset_cells=offset)] for offset in (0.5, 0)
    )
    np.testing.assert_array_equal(aware[0], boxes[0])
    aware_mean, unaware_mean = (
        np.mean([_overlap(*pair) for pair in zip(each, boxes, strict=True)]) for each in (aware, unaware)
    )
    assert aware_mean > 0.85
    assert aware_mean > unaware_mean + 0.02


OFFSET = 7 / 16  # of stage layer2
BORDER_PLACES = [(x, y) for x in (0, 960, 1919) for y in (0, 540, 1079) if (x, y) != (960, 540)]


def _standing(count: int = 4) -> list[Floats]:
    """The same frame again and again; no two of its 20 × 20 cells are alike."""
    return [np.random.default_rng(0).standard_normal((20, 20, 32)).astype(np.float32)] * count


@pytest.mark.parametrize("place", BORDER_PLACES)
def test_a_box_of_a_pixel_at_the_border_is_seen_by_the_outer_cell(place: tuple[int, int]) -> None:
    box = _box(*place, 1, 1)
    labels = box_to_labels(box, CellGrid.of_picture(1080, 1920, rows=20, columns=20, offset_cells=OFFSET))
    row, column = divmod(int(labels.argmax()), 20)
    assert (labels > 0).sum() == 1
    assert column == {0: 0, 960: 10, 1919: 19}[place[0]]
    assert row == {0: 0, 540: 10, 1079: 19}[place[1]]
    for tracked in tracked_boxes(_standing(), box, 1080, 1920, NEAR, offset_cells=OFFSET):
        assert not tracked.is_lost
        assert (tracked.box[:2] >= 0).all()
        assert (tracked.box[:2] + tracked.box[2:] <= [1920, 1080]).all()
        assert (np.abs(tracked.box[:2] - box[:2]) < [96, 54]).all()


@pytest.mark.parametrize(
    "box", [_box(1500, 700, 420, 380), _box(0, 0, 400, 300), _box(1400, 0, 520, 250), _box(0, 0, 1920, 1080)]
)
def test_a_box_that_touches_the_border_is_found_back_uncut(box: Box) -> None:
    boxes = [each.box for each in tracked_boxes(_standing(), box, 1080, 1920, NEAR, offset_cells=OFFSET)]
    for found in boxes[1:]:
        np.testing.assert_allclose(found, box, rtol=0, atol=1.0)  # of cells of 96 × 54 pixels
        start, end = found[:2], found[:2] + found[2:]
        assert (start >= 0).all()
        assert (end <= [1920, 1080]).all()


def test_boxes_of_a_target_that_leaves_stay_inside_the_picture() -> None:
    boxes = [_box(40 - 5 * f, 30 - 4 * f, 48, 40) for f in range(12)]
    tracked = _tracked(boxes)
    for each, true in zip(tracked[1:], boxes[1:], strict=True):
        assert (each.box[:2] >= 0).all()
        seen = np.concatenate([np.maximum(true[:2], 0), np.minimum(true[:2], 0) + true[2:]])
        assert _overlap(each.box, seen) > 0.5


def test_no_frame_gives_no_box_and_one_gives_the_box() -> None:
    box = _box(8, 8, 40, 40)
    assert list(tracked_boxes([], box, 120, 176)) == []
    (only,) = tracked_boxes(_video([box]), box, 120, 176)
    assert (only.box.tolist(), only.score, only.is_lost) == (box.tolist(), 1.0, False)
    with pytest.raises(ValueError, match=r"min_score \(0\)"):
        next(tracked_boxes(_video([box]), box, 120, 176, min_score=0))
