"""Labelled panels, strips and sheets: their sizes, and what stands where."""

import numpy as np
import pytest

from cocon.video.pictures.lettering import text_width
from cocon.video.preview.drawings import legend_words
from cocon.video.preview.panels import (
    Legend,
    Panel,
    SheetLayout,
    caption,
    draw_legend,
    draw_sheet,
    draw_strip,
    notice,
    time_label,
)
from cocon.video.store.stored_view import Attributes

NO_ATTRIBUTES: Attributes = {}
WORDS = [
    *legend_words("flow", {"flow_interval_seconds": 1 / 15}),
    *(word for view in ("rgb", "pose", "mask") for word in legend_words(view, NO_ATTRIBUTES)),
]
(DEPTH,) = legend_words("depth", {"depth_near": 500.0, "depth_far": 4500.0})


def _flat(height: int, width: int, value: int = 200) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("seconds", "label"),
    [(0, "00:00.000"), (3.2456, "00:03.246"), (59.9996, "01:00.000"), (754.03, "12:34.030"), (5999.5, "99:59.500")],
)
def test_times_have_minutes_seconds_and_milliseconds(seconds: float, label: str) -> None:
    assert time_label(seconds) == label


def test_an_hour_has_sixty_minutes_and_more() -> None:
    assert time_label(2 * 3600 + 61.5) == "121:01.500"


@pytest.mark.parametrize(
    ("size", "panel"),
    [
        ((256, 340), (256, 340)),
        ((1080, 1920), (256, 455)),
        ((50, 50), (256, 256)),
        ((1600, 1200), (256, 192)),
        ((1000, 2400), (200, 480)),
        ((1920, 1080), (256, 192)),  # no narrower than its label
        ((100, 10_000), (120, 480)),
        ((10_000, 16), (256, 192)),
    ],
)
def test_panels_are_of_one_height_unless_the_picture_is_too_wide(size: tuple[int, int], panel: tuple[int, int]) -> None:
    assert SheetLayout.of(*size) == SheetLayout(*panel)


@pytest.mark.parametrize("size", [(1080, 1920), (1920, 1080), (1, 5000), (5000, 1), (33, 47)])
def test_a_picture_is_fitted_whole_and_keeps_its_shape(size: tuple[int, int]) -> None:
    layout = SheetLayout.of(*size)
    height, width = layout.fitted(_flat(*size)).shape[:2]
    assert height <= layout.height
    assert width <= layout.width
    assert min(abs(height - size[0] * width / size[1]), abs(width - size[1] * height / size[0])) <= 1


def test_name_note_and_time_fit_above_the_narrowest_panel() -> None:
    width = SheetLayout.of(1000, 100).width
    needed = text_width("mask", 10) + text_width("missing", 9) + text_width("00:00.000", 9)
    assert needed + 4 * 5 <= width


def test_a_strip_shows_each_picture_below_its_bar_in_the_middle_of_its_panel() -> None:
    layout = SheetLayout(200, 300)
    pictures = [_flat(200, 300, 210), _flat(100, 300, 220), _flat(200, 100, 230)]
    panels = [Panel(view, picture) for view, picture in zip(("rgb", "flow", "mask"), pictures, strict=True)]
    strip = draw_strip(layout, panels, 1.5)
    bar = strip.shape[0] - 200
    gap = (strip.shape[1] - 3 * 300) // 2
    assert (strip[bar:, :300] == 210).all()
    second = strip[bar:, 300 + gap : 600 + gap]
    assert (second[50:150] == 220).all()
    assert (second[:50] < 60).all()
    assert (second[150:] < 60).all()
    third = strip[bar:, 600 + 2 * gap :]
    assert (third[:, 100:200] == 230).all()
    assert (third[:, :100] < 60).all()


def test_bars_differ_by_name_note_and_time() -> None:
    layout, picture = SheetLayout(120, 200), _flat(120, 200)

    def bar(view: str, note: str, seconds: float) -> bytes:
        return draw_strip(layout, [Panel(view, picture, note)], seconds)[:-120].tobytes()

    bars = {bar("flow", "", 1), bar("flow", "stored", 1), bar("mask", "", 1), bar("flow", "", 1.001)}
    assert len(bars) == 4
    assert bar("flow", "", 1) in bars


@pytest.mark.parametrize("rows", [1, 4])
def test_sheets_have_even_sides_and_hold_every_strip(rows: int) -> None:
    for height, width in ((121, 801), (120, 800), (121, 800)):
        strips = [_flat(height, width, 100 + row) for row in range(rows)]
        legend = draw_legend(width, Legend("video.mp4"))
        sheet = draw_sheet(strips, legend)
        assert sheet.shape[0] % 2 == sheet.shape[1] % 2 == 0
        assert [int((sheet == 100 + row).all(axis=2).sum()) for row in range(rows)] == [height * width] * rows


def test_a_notice_keeps_the_panels_size_and_a_caption_the_pictures() -> None:
    layout = SheetLayout.of(100, 10_000)
    long = "a reason that goes on and on " * 30
    assert notice(layout, long).shape == (layout.height, layout.width, 3)
    assert (notice(layout, "short") > 200).any()
    captioned = caption(_flat(90, 200), "no person found")
    assert captioned.shape == (90, 200, 3)
    assert (captioned[60:] > 200).any()
    assert np.array_equal(captioned[:50], caption(_flat(90, 200), "")[:50])
    assert caption(_flat(1, 480), "no person found").shape == (1, 480, 3)


def test_the_legend_explains_only_what_is_shown() -> None:
    def colours(legend: Legend) -> int:
        pixels = draw_legend(800, legend).astype(int)
        return int((np.ptp(pixels, axis=2) > 60).sum())

    everything = colours(Legend("a.mp4", "facts", WORDS))
    without_flow = colours(Legend("a.mp4", "facts", WORDS[1:]))
    without_people = colours(Legend("a.mp4", "facts", WORDS[:1]))
    assert colours(Legend("a.mp4", "facts")) == 0
    assert 0 < without_flow < everything < colours(Legend("a.mp4", "facts", [*WORDS, DEPTH]))
    assert 0 < without_people < everything


@pytest.mark.parametrize("title", ["v.mp4", "a name that does not end " * 20, "Küche 日本.mp4", ""])
def test_legends_of_narrow_sheets_are_cut_not_overrun(title: str) -> None:
    for width in (60, 200, 786):
        legend = Legend(title, "1920 x 1080, 00:10.000, 280 frames", [*WORDS, DEPTH])
        assert draw_legend(width, legend).shape[1] == width


def test_all_of_the_legend_fits_the_narrowest_sheet() -> None:
    layout = SheetLayout.of(1000, 100)
    strip = draw_strip(layout, [Panel(view, _flat(10, 10)) for view in ("rgb", "flow", "pose", "mask")], 0)
    legend = Legend("", "", WORDS)
    assert np.array_equal(draw_legend(strip.shape[1], legend), draw_legend(2000, legend)[:, : strip.shape[1]])


def test_drawings_are_explained_by_what_is_known_of_the_view() -> None:
    texts = [word.text for word in (*WORDS, DEPTH)]
    assert texts == ["flow: rim = 2 % of short side in 67 ms", "left", "right", "mask 50 %", "depth: 500 to 4500"]
    assert [word.has_wheel for word in WORDS] == [True, False, False, False]
    assert legend_words("flow", NO_ATTRIBUTES)[0].text == "flow: rim = 2 % of short side"
    assert legend_words("depth", NO_ATTRIBUTES)[0].text == "depth: 0 to 255"
