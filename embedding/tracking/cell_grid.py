"""Where the cells of a feature map lie in a picture, and how much of each a box covers.

    grid = CellGrid.of_picture(height, width, rows=20, columns=20, offset_cells=convolution_offset_cells(8))
    grid.covered(box)                                                       # float32 [20, 20]

A box is x, y, width, height in pixels, `float64 [4]`; pixel 0 is what lies between 0 and 1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["CellGrid", "convolution_offset_cells"]

Box = NDArray[np.float64]
Edges = NDArray[np.float64]
Floats = NDArray[np.float32]


def convolution_offset_cells(stride_px: float) -> float:
    """How far a cell of convolutions looks to the left of the middle of its part of the picture, and above it.

    Convolutions that are padded on both sides centre cell i on pixel i·stride, whose own middle is half a pixel on.
    """
    return (stride_px - 1) / (2 * stride_px)


@dataclass(frozen=True, slots=True)
class CellGrid:
    """Edges of the cells of a map, in pixels.

    Attributes:
        x: of the columns, `float64 [w + 1]`, from 0 to the width of the picture.
        y: of the rows, `float64 [h + 1]`, from 0 to its height.
    """

    x: Edges
    y: Edges

    @classmethod
    def of_picture(cls, height: int, width: int, *, rows: int, columns: int, offset_cells: float = 0.0) -> Self:
        """Cells of equal size that look a little to the left and above; the outer ones reach the picture's borders.

        Args:
            height: of the picture, in pixels.
            width: likewise.
            rows: h, of the map.
            columns: w, likewise.
            offset_cells: how far each cell looks to the left of the middle of its even share, and above it; from 0 to
                below 1.

        Raises:
            ValueError: the offset is out of its bounds.
        """
        if not 0 <= offset_cells < 1:
            raise ValueError(f"offset_cells ({offset_cells}) must be 0 or more and below 1")
        return cls(_edges(width, columns, offset_cells), _edges(height, rows, offset_cells))

    @property
    def mean_cell(self) -> NDArray[np.float64]:
        """Mean width and height of a cell in pixels, `float64 [2]`."""
        return np.array([self.x[-1] / (len(self.x) - 1), self.y[-1] / (len(self.y) - 1)])

    def covered(self, box: Box) -> Floats:
        """Share of each cell inside a box, `float32 [h, w]`; the box may stick out of the picture.

        Raises:
            ValueError: the box is not four finite numbers of which the sides are positive.
        """
        if np.shape(box) != (4,) or not np.isfinite(box).all() or not (box[2:] > 0).all():
            numbers = np.asarray(box).tolist()
            raise ValueError(f"box {numbers} must be x, y, width and height, finite, and width and height positive")
        x, y, width, height = (float(number) for number in box)
        return np.outer(_shares(self.y, y, y + height), _shares(self.x, x, x + width))

    def clipped(self, box: Box) -> Box:
        """The part of a box that is in the picture."""
        start, end = (np.clip(corner, 0, [self.x[-1], self.y[-1]]) for corner in (box[:2], box[:2] + box[2:]))
        return np.concatenate([start, end - start])

    def box_of_places(self, columns: tuple[float, float], rows: tuple[float, float]) -> Box:
        """The box between two places across and two down; a place counts cells from the left border, or from above."""
        left, right = np.interp(columns, np.arange(len(self.x)), self.x)
        top, bottom = np.interp(rows, np.arange(len(self.y)), self.y)
        return np.array([left, top, right - left, bottom - top])


def _edges(length_px: int, count: int, offset_cells: float) -> Edges:
    edges = (np.arange(count + 1, dtype=np.float64) - offset_cells) * length_px / count
    # There is no other cell that could show what is at a border.
    edges[[0, -1]] = 0, length_px
    return edges


def _shares(edges: Edges, start: float, end: float) -> Floats:
    """How much of each cell lies between start and end: `float32 [n]`."""
    return (np.diff(np.clip(edges, start, end)) / np.diff(edges)).astype(np.float32)
