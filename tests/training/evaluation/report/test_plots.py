"""Marks of classes, and the matrix of what is taken for what."""

import base64

import numpy as np

from cocon.training.evaluation.report.plots import MAX_IN_MATRIX, MAX_MARKED, class_mark, confusion_plot

# What a section of the page has in a window of 800 pixels.
_SECTION_PX = 696


def test_marks_of_classes_differ() -> None:
    marks = [class_mark(index) for index in range(MAX_MARKED)]
    assert len(set(marks)) == MAX_MARKED >= 20


def test_a_matrix_fits_the_page_and_its_cells_hold_their_numbers() -> None:
    counts = 3 * np.eye(MAX_IN_MATRIX, dtype=np.int64)
    plot = confusion_plot(counts, [f"{index} {'long name ' * 9}" for index in range(MAX_IN_MATRIX)])
    assert plot.width <= _SECTION_PX
    cell_px = (plot.width - 96 * (0.4 + 0.068 * 28)) / MAX_IN_MATRIX
    assert cell_px >= 18  # "100" of 7 points is as wide
    assert f"of {MAX_IN_MATRIX} classes; 100.0 per cent" in plot.alt


def test_a_class_whose_name_is_no_text_is_drawn_with_its_bytes() -> None:
    plot = confusion_plot(np.eye(2, dtype=np.int64), ["jump", "\udcff"])
    svg = base64.b64decode(plot.light.partition(",")[2]).decode()
    assert ">jump<" in svg
    assert r">\xff<" in svg
