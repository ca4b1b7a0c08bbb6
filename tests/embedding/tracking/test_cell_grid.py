"""Cells of a map in a picture: where convolutions look, out to the borders, and how much of each a box covers."""

import numpy as np
import pytest

from cocon.embedding.tracking.cell_grid import CellGrid, convolution_offset_cells


def test_inner_cells_of_convolutions_are_centred_on_every_stride_th_pixel() -> None:
    grid = CellGrid.of_picture(80, 160, rows=10, columns=20, offset_cells=convolution_offset_cells(8))
    for edges, length_px, count in ((grid.x, 160, 20), (grid.y, 80, 10)):
        assert (edges[0], edges[-1], len(edges)) == (0, length_px, count + 1)
        pixels = 8 * np.arange(1, count - 1)
        np.testing.assert_allclose((edges[1:-2] + edges[2:-1]) / 2, pixels + 0.5)  # a pixel's middle
    np.testing.assert_allclose(grid.mean_cell, [8, 8])


def test_outer_cells_cover_what_is_between_them_and_the_border() -> None:
    grid = CellGrid.of_picture(24, 40, rows=3, columns=4, offset_cells=0.5)  # cells of 10 × 8 pixels, but for the outer
    pixels = np.zeros((24, 40))
    pixels[2:23, 3:38] = 1
    rows, columns = np.split(pixels, [4, 12]), [5, 15, 25]
    expected = [[part.mean() for part in np.split(row, columns, axis=1)] for row in rows]
    covered = grid.covered(np.array([3.0, 2, 35, 21]))
    assert covered.dtype == np.float32
    np.testing.assert_allclose(covered, expected, atol=1e-6)


def test_places_in_cells_are_pixels_between_the_edges() -> None:
    grid = CellGrid.of_picture(24, 40, rows=3, columns=4, offset_cells=0.5)
    np.testing.assert_allclose(grid.box_of_places((0, 4), (0, 3)), [0, 0, 40, 24])
    np.testing.assert_allclose(grid.box_of_places((0.5, 1.5), (1, 2.5)), [2.5, 4, 7.5, 14])


def test_of_a_box_that_sticks_out_the_part_inside_is_left() -> None:
    grid = CellGrid.of_picture(24, 40, rows=3, columns=4)
    np.testing.assert_array_equal(grid.clipped(np.array([-5.0, 20, 15, 9])), [0, 20, 10, 4])
    np.testing.assert_array_equal(grid.clipped(np.array([30.0, -1, 15, 9])), [30, 0, 10, 8])


@pytest.mark.parametrize("offset_cells", [-0.1, 1.0, float("nan")])
def test_cells_that_look_beyond_their_neighbours_are_refused(offset_cells: float) -> None:
    with pytest.raises(ValueError, match=r"offset_cells \(.*\) must be 0 or more and below 1"):
        CellGrid.of_picture(24, 40, rows=3, columns=4, offset_cells=offset_cells)
