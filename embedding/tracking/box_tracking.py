"""A box followed through a video by its propagated label.

    for tracked in tracked_boxes(feature_maps, box, height, width):       # of pictures of height × width pixels
        tracked.box, tracked.score

A box is x, y, width, height in pixels, `float64 [4]`; pixel 0 is what lies between 0 and 1. Where the cells of a label
map lie in the picture is in `cell_grid.py`.

A box is read off a label map where its profiles over columns and over rows, summed around the last box, rise to a share
of their height, between two cells too. On maps of known motion, scale and noise this came nearer than weighted moments,
which a few stray labels far out move and widen, and than sums of the labels, which shrink as labels pale. How much the
label spreads depends on the features: so the size is read relative to the size that is read in the first frame.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cocon.embedding.tracking.cell_grid import CellGrid
from cocon.embedding.tracking.propagation import Propagation, propagated_labels

__all__ = ["TrackedBox", "box_of_labels", "box_to_labels", "labels_around", "tracked_boxes"]

Box = NDArray[np.float64]
Floats = NDArray[np.float32]

# Sides of the area around a box that is looked at, as multiples of its own; no less than so many cells.
_AREA_SCALE, _AREA_CELLS = 2.0, 3.0
# Share of a newly read size: read sizes tremble more than things grow.
_SIZE_RATE = 0.3
# Cells whose mean is a profile's height: the largest one alone is too much at the mercy of noise.
_NUM_HIGHEST = 3
# Share of that height that still belongs to a box. Labels pale from frame to frame, most at the edge of the target: at
# half of the height, boxes of people in training videos shrank; below two fifths, those of moving squares grew.
_LEVEL = 0.4


@dataclass(frozen=True, slots=True)
class TrackedBox:
    """A box in one frame.

    Attributes:
        box: x, y, width, height in pixels, `float64 [4]`; the last known one while the target is lost.
        score: mean label inside the box that was found, as a share of the first frame's; 0..1.
        is_lost: whether the score is too low to say where the target is.
    """

    box: Box
    score: float
    is_lost: bool


def box_to_labels(box: Box, grid: CellGrid) -> Floats:
    """How much of each cell a box covers: shares from 0 to 1, `float32 [h, w, 1]`.

    Args:
        box: x, y, width, height in pixels, `float64 [4]`; it may stick out of the picture.
        grid: of the feature map.

    Raises:
        ValueError: the box is not four finite numbers of which the sides are positive, or lies outside the picture.
    """
    labels = grid.covered(box)
    if not labels.any():
        size = f"{grid.x[-1]:.0f} × {grid.y[-1]:.0f}"
        raise ValueError(f"box {[float(number) for number in box]} lies outside the picture of {size}")
    return labels[..., None]


def box_of_labels(seen: Floats, grid: CellGrid) -> Box:
    """The box that labels `float32 [h, w]` show, of which some are positive, to a fraction of a cell.

    For a box of three cells or more, the edges found in `box_to_labels` of it are 0.002 cells off on average.
    """
    return grid.box_of_places(_span(seen.sum(axis=0)), _span(seen.sum(axis=1)))


def labels_around(labels: Floats, box: Box, grid: CellGrid) -> Floats:
    """Labels `float32 [h, w, 1]` inside the area around a box of twice its sides, 0 elsewhere: `float32 [h, w]`."""
    sides = np.maximum(_AREA_SCALE * box[2:], _AREA_CELLS * grid.mean_cell)
    area = np.concatenate([box[:2] + box[2:] / 2 - sides / 2, sides])
    return labels[..., 0] * grid.covered(area)


def tracked_boxes(
    feature_maps: Iterable[Floats],
    box: Box,
    height: int,
    width: int,
    propagation: Propagation | None = None,
    *,
    offset_cells: float = 0.0,
    min_score: float = 0.25,
) -> Iterator[TrackedBox]:
    """Follow a box of the first frame; frames are taken as their boxes are asked for.

    The target is looked for around its last box, and everywhere when too little of its label is left there. A target
    of less than two or three cells is hardly to be followed: take larger frames or a finer map.

    Args:
        feature_maps: `float32 [h, w, D]` of each frame, as for `propagated_labels`.
        box: in the first frame: x, y, width, height in pixels, `float64 [4]`. Of a box that sticks out of the picture,
            the part inside it is followed.
        height: of the pictures, in pixels.
        width: likewise.
        propagation: how labels go from frame to frame; the defaults of `Propagation` unless given.
        offset_cells: of the cells, as `CellGrid.of_picture` takes it: 0 for patches, `convolution_offset_cells` for
            convolutions.
        min_score: of a target that is not lost, above 0 and at most 1.

    Yields:
        One box per frame, the first one's as it was given, the others inside the picture.

    Raises:
        ValueError: as `box_to_labels` and `propagated_labels`, or `min_score` is out of its bounds.
    """
    if not 0 < min_score <= 1:
        raise ValueError(f"min_score ({min_score}) must be above 0 and at most 1")
    maps = iter(feature_maps)
    first_map = next(maps, None)
    if first_map is None:
        return
    rows, columns = first_map.shape[:2]
    grid = CellGrid.of_picture(height, width, rows=rows, columns=columns, offset_cells=offset_cells)
    first = box_to_labels(box, grid)
    label_maps = propagated_labels(chain([first_map], maps), first, propagation)
    next(label_maps)  # the first frame's, which are known
    yield TrackedBox(np.array(box, np.float64), 1.0, False)
    yield from _followed(label_maps, first, grid.clipped(box), grid, min_score)


def _followed(
    label_maps: Iterator[Floats], first: Floats, box: Box, grid: CellGrid, min_score: float
) -> Iterator[TrackedBox]:
    unit = box[2:] / box_of_labels(labels_around(first, box, grid), grid)[2:]
    full = _mean_inside(first, box, grid)
    for labels in label_maps:
        score, found = _found(labels, box, unit, grid)
        if score < min_score * full:
            score, found = _found(labels, _fullest(labels, box, grid), unit, grid)
        is_lost = score < min_score * full
        box = box if is_lost else found
        yield TrackedBox(box, min(1.0, score / full), is_lost)


def _found(labels: Floats, box: Box, unit: Box, grid: CellGrid) -> tuple[float, Box]:
    """The target's box near another one, and the mean label inside it; `unit` is true sizes per read ones."""
    seen = labels_around(labels, box, grid)
    if not seen.any():
        return 0.0, box
    read = box_of_labels(seen, grid)
    size = box[2:] ** (1 - _SIZE_RATE) * (unit * read[2:]) ** _SIZE_RATE
    found = grid.clipped(np.concatenate([read[:2] + read[2:] / 2 - size / 2, size]))
    return _mean_inside(labels, found, grid), found


def _mean_inside(labels: Floats, box: Box, grid: CellGrid) -> float:
    covered = grid.covered(box)
    return float((labels[..., 0] * covered).sum() / covered.sum())


def _fullest(labels: Floats, box: Box, grid: CellGrid) -> Box:
    """A box of the same size where the labels inside it are most, to a cell."""
    rows, columns = labels.shape[:2]
    num_columns, num_rows = (max(1, round(count)) for count in np.minimum(box[2:] / grid.mean_cell, [columns, rows]))
    sums = sliding_window_view(labels[..., 0], (num_rows, num_columns)).sum(axis=(2, 3))
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    window = grid.box_of_places((column, column + num_columns), (row, row + num_rows))
    return np.concatenate([window[:2] + window[2:] / 2 - box[2:] / 2, box[2:]])


def _span(profile: Floats) -> tuple[float, float]:
    """Where a profile over cells begins and ends, in cells from its edge; exact if all within is equally high.

    The cells at both ends of those that reach `_LEVEL` of its height, and their outer neighbours, count as far as they
    are high.
    """
    padded = np.pad(profile.astype(np.float64), 1)
    shares = np.minimum(1.0, padded / np.sort(padded)[-_NUM_HIGHEST:].mean())
    first = last = int(padded.argmax())
    while shares[first - 1] >= _LEVEL:
        first -= 1
    while shares[last + 1] >= _LEVEL:
        last += 1
    # Cell i of the profile is i + 1 of the padded one, and ends at i + 1.
    start, end = first - shares[first] - shares[first - 1], last - 1 + shares[last] + shares[last + 1]
    return max(0.0, float(start)), min(float(len(profile)), float(end))
