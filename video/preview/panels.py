"""Views side by side: labelled panels in a strip, strips and a legend in a sheet.

    layout = SheetLayout.of(1080, 1920)
    strip = draw_strip(layout, [Panel("rgb", picture), Panel("pose", caption(picture, "no person found"))], seconds)
    draw_sheet([strip, ...], draw_legend(strip.shape[1], Legend("video.mp4", "1920 x 1080")))

All pictures are RGB `uint8 [H, W, 3]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.video.geometry import resize
from cocon.video.pictures.drawing import SHEET_BAR, SHEET_BRIGHT, SHEET_DIM, SHEET_PAPER, Colour, blend, colour_wheel
from cocon.video.pictures.lettering import draw_text, shortened, text_width, wrap_text

__all__ = [
    "Legend",
    "Panel",
    "SheetLayout",
    "Word",
    "caption",
    "draw_legend",
    "draw_sheet",
    "draw_strip",
    "notice",
    "time_label",
]

Pixels = NDArray[np.uint8]

_HEIGHT_PX = 256
# Wider pictures than 15:8 get lower panels, so that four fit a screen.
_MAX_WIDTH_PX = 480
# Name, note and time must fit above the picture.
_MIN_WIDTH_PX, _MIN_HEIGHT_PX = 192, 120
_MARGIN_PX, _GAP_PX, _HEADER_PX, _LEGEND_PX, _WHEEL_PX = 12, 6, 24, 44, 44

_CAP_PX, _SMALL_CAP_PX, _LINE_PX, _SWATCH_PX = 10, 9, 18, 20
_GROUND: Colour = (30, 30, 33)


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """Sizes of a sheet's parts, in pixels.

    Attributes:
        height: of a panel without its header.
        width: of a panel.
    """

    height: int
    width: int

    @classmethod
    def of(cls, height: int, width: int) -> Self:
        """For pictures of `height` × `width`."""
        picture_height, picture_width = _fitted_shape(height, width, _HEIGHT_PX, _MAX_WIDTH_PX)
        return cls(max(_MIN_HEIGHT_PX, picture_height), max(_MIN_WIDTH_PX, picture_width))

    def fitted(self, pixels: Pixels) -> Pixels:
        """A picture `uint8 [H, W, C]` as large as a panel can show it whole."""
        return resize(pixels, *_fitted_shape(pixels.shape[0], pixels.shape[1], self.height, self.width))


@dataclass(frozen=True, slots=True)
class Panel:
    """One view at one moment.

    Attributes:
        view: its name.
        picture: RGB `uint8 [h, w, 3]`, no larger than the layout's panel.
        note: where the view comes from, in a word, or empty.
    """

    view: str
    picture: Pixels
    note: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A part of a legend.

    Attributes:
        text: what it says.
        swatch: colours, from left to right, of the patch before it; none for no patch.
        has_wheel: whether it explains the colour wheel, which then stands at the legend's left.
    """

    text: str
    swatch: Sequence[Colour] = ()
    has_wheel: bool = False


@dataclass(frozen=True, slots=True)
class Legend:
    """What the foot of a sheet says.

    Attributes:
        title: the video's name.
        facts: about the video.
        words: what explains the drawings.
    """

    title: str
    facts: str = ""
    words: Sequence[Word] = ()


def time_label(seconds: float) -> str:
    """`mm:ss.mmm`; an hour has 60 minutes and more."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 60000:02d}:{milliseconds // 1000 % 60:02d}.{milliseconds % 1000:03d}"


def notice(layout: SheetLayout, text: str) -> Pixels:
    """An empty picture of a panel's size with text in the middle; what does not fit is cut short."""
    max_lines = (layout.height - _MARGIN_PX) // _LINE_PX
    lines = wrap_text(text, _CAP_PX, layout.width - 2 * _MARGIN_PX, max_lines=max_lines)
    noted = _filled(layout.height, layout.width, _GROUND)
    _draw_centred(noted, lines, top=(layout.height - _LINE_PX * len(lines)) // 2)
    return noted


def caption(picture: Pixels, text: str) -> Pixels:
    """A picture dimmed, with one line of text at its foot, where it hides little."""
    noted = blend(picture, np.array(_GROUND, np.uint8), 0.6)
    _draw_centred(noted, [text], top=max(0, picture.shape[0] - _LINE_PX - _GAP_PX))
    return noted


def draw_strip(layout: SheetLayout, panels: Sequence[Panel], seconds: float) -> Pixels:
    """Panels of one moment side by side: `uint8 [h, w, 3]`."""
    columns = [_draw_panel(layout, panel, seconds) for panel in panels]
    gap = _filled(columns[0].shape[0], _GAP_PX, SHEET_PAPER)
    return np.hstack([part for column in columns for part in (gap, column)][1:])


def draw_legend(width: int, legend: Legend) -> Pixels:
    """The foot of a sheet: `uint8 [h, width, 3]`."""
    canvas = _filled(_LEGEND_PX, width, SHEET_PAPER)
    left = 0
    if any(word.has_wheel for word in legend.words):
        wheel, coverage = colour_wheel(_WHEEL_PX)
        place = canvas[:_WHEEL_PX, :_WHEEL_PX]
        place[:] = blend(place, wheel, coverage[..., None])
        left = _WHEEL_PX + _MARGIN_PX
    _draw_words(canvas, [(Word(legend.title), SHEET_BRIGHT), (Word(legend.facts), SHEET_DIM)], left=left, top=6)
    _draw_words(canvas, [(word, SHEET_DIM) for word in legend.words], left=left, top=28)
    return canvas


def draw_sheet(strips: Sequence[Pixels], legend: Pixels) -> Pixels:
    """Strips and a legend, one below the other: `uint8 [H, W, 3]` with even sides, as H.264 needs them."""
    rows = [part for strip in strips for part in (strip, _filled(_MARGIN_PX, strip.shape[1], SHEET_PAPER))]
    content = np.vstack([*rows, legend])
    height, width = content.shape[:2]
    even = [(_MARGIN_PX, _MARGIN_PX + side % 2) for side in (height, width)]
    sheet = _filled(height + sum(even[0]), width + sum(even[1]), SHEET_PAPER)
    sheet[_MARGIN_PX : _MARGIN_PX + height, _MARGIN_PX : _MARGIN_PX + width] = content
    return sheet


def _draw_panel(layout: SheetLayout, panel: Panel, seconds: float) -> Pixels:
    header = _filled(_HEADER_PX, layout.width, SHEET_BAR)
    top = (_HEADER_PX - _CAP_PX) // 2
    label, time = _GAP_PX + 2, time_label(seconds)
    draw_text(header, panel.view, left=label, top=top, cap_px=_CAP_PX, colour=SHEET_BRIGHT)
    after_label = label + text_width(panel.view, _CAP_PX) + _GAP_PX + 2
    draw_text(header, panel.note, left=after_label, top=top + 1, cap_px=_SMALL_CAP_PX, colour=SHEET_DIM)
    before_time = layout.width - label - text_width(time, _SMALL_CAP_PX)
    draw_text(header, time, left=before_time, top=top + 1, cap_px=_SMALL_CAP_PX, colour=SHEET_DIM)
    body = _filled(layout.height, layout.width, _GROUND)
    height, width = panel.picture.shape[:2]
    down, right = (layout.height - height) // 2, (layout.width - width) // 2
    body[down : down + height, right : right + width] = panel.picture
    return np.vstack([header, body])


def _draw_centred(canvas: Pixels, lines: Sequence[str], *, top: int) -> None:
    top += (_LINE_PX - _CAP_PX) // 2
    for index, line in enumerate(lines):
        left = max(0, (canvas.shape[1] - text_width(line, _CAP_PX)) // 2)
        draw_text(canvas, line, left=left, top=top + index * _LINE_PX, cap_px=_CAP_PX, colour=SHEET_BRIGHT)


def _draw_words(canvas: Pixels, words: Sequence[tuple[Word, Colour]], *, left: int, top: int) -> None:
    """Texts in a row, each with its swatch before it; the last may be cut short."""
    for word, colour in words:
        if not word.text or left >= canvas.shape[1]:
            continue
        if word.swatch:
            place = canvas[top : top + _CAP_PX, left : left + _SWATCH_PX]
            shown = np.linspace(0, len(word.swatch) - 1, _SWATCH_PX).round().astype(int)
            place[:] = np.array(word.swatch, np.uint8)[shown[: place.shape[1]]]
            left += _SWATCH_PX + _GAP_PX
        fitting = shortened(word.text, _CAP_PX, canvas.shape[1] - left)
        draw_text(canvas, fitting, left=left, top=top, cap_px=_CAP_PX, colour=colour)
        left += text_width(fitting, _CAP_PX) + 2 * _MARGIN_PX


def _fitted_shape(height: int, width: int, max_height: int, max_width: int) -> tuple[int, int]:
    scale = min(max_height / height, max_width / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _filled(height: int, width: int, colour: Colour) -> Pixels:
    return _plain(height, width, colour).copy()


@lru_cache(maxsize=8)
def _plain(height: int, width: int, colour: Colour) -> Pixels:
    """To copy: NumPy takes ten times as long to fill in a colour."""
    return np.full((height, width, 3), colour, np.uint8)
