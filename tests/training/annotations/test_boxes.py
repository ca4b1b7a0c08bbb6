"""True boxes: whatever separates the numbers of a line, and the person of a generated figure."""

from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import UsageError
from cocon.training.annotations.boxes import mask_boxes, read_otb_boxes
from cocon.training.figures.filming import film
from cocon.training.figures.planning import plan_videos
from cocon.training.figures.settings import FigureSettings

NAN = float("nan")


def _file(folder: Path, text: str) -> Path:
    path = folder / "groundtruth_rect.txt"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "198,214,34,81\n197.5,214,34,82.25\n",
        "198\t214\t34\t81\r\n197.5\t214\t34\t82.25\r\n",
        "198 214 34 81\n 197.5  214 34 82.25 \n\n",
        "\ufeff198, 214, 34, 81\n197.5, 214, 34, 82.25",
    ],
)
def test_numbers_may_be_apart_by_commas_tabs_or_blanks(tmp_path: Path, text: str) -> None:
    boxes = read_otb_boxes(_file(tmp_path, text))
    assert boxes.dtype == np.float64
    assert boxes.tolist() == [[197, 213, 34, 81], [196.5, 213, 34, 82.25]]  # the first pixel is 0 here


def test_a_frame_without_target_is_nan(tmp_path: Path) -> None:
    boxes = read_otb_boxes(_file(tmp_path, "1,1,5,5\nNaN,NaN,NaN,NaN\n0,0,0,0\n0,-3,5,5\n"))
    np.testing.assert_array_equal(boxes, [[0, 0, 5, 5], [NAN] * 4, [NAN] * 4, [-1, -4, 5, 5]])


@pytest.mark.parametrize(
    "line",
    ["1,2,3", "1,2,3,4,5,6,7,8", "1,2,0,4", "1,2,3,-4", "NaN,2,3,4", "1,2,inf,4", "left,2,3,4", "", "1,2,\x1b[2J,4"],
)
def test_a_wrong_line_is_named_with_its_file_its_number_and_the_rule(tmp_path: Path, line: str) -> None:
    path = _file(tmp_path, f"1,2,3,4\n{line}\n1,2,3,4\n")
    with pytest.raises(UsageError, match=r"line 2: '.*' must be x, y, width and height, with") as caught:
        read_otb_boxes(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere.txt' cannot be read \(No such file"):
        read_otb_boxes(tmp_path / "nowhere.txt")
    with pytest.raises(UsageError, match="has no line"):
        read_otb_boxes(_file(tmp_path, " \n\n"))


def test_the_box_of_a_mask_is_around_what_is_mostly_person() -> None:
    masks = np.zeros((3, 10, 20, 1), np.uint8)
    masks[0, 2:5, 4:11] = 255
    masks[0, 1, 4] = 127  # less than half of a person
    masks[2, 9, 19], masks[2, 0, 0] = 200, 128
    boxes = mask_boxes(masks, height=30, width=40)
    np.testing.assert_array_equal(boxes, [[8, 6, 14, 9], [NAN] * 4, [0, 0, 40, 30]])


def test_the_box_of_a_figure_is_where_it_was_painted() -> None:
    coarse, fine = (FigureSettings(num_videos=2, seconds=0.1, size_px=128, view_size_px=side) for side in (64, 256))
    plan = plan_videos(coarse)[0]
    masks = (film(plan, settings)[0].mask for settings in (coarse, fine))
    boxes, exact = (mask_boxes(each, height=128, width=128) for each in masks)
    assert boxes.shape == (3, 4)
    edges, exact_edges = (np.concatenate([each[:, :2], each[:, :2] + each[:, 2:]], axis=1) for each in (boxes, exact))
    assert np.abs(edges - exact_edges).max() <= 2.0  # a pixel of the coarse mask
