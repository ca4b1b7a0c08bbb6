"""Text in pictures.

Letters come from the font that Pillow brings, so that pictures look alike everywhere. It has little more than ASCII:
names with other letters are set in a font of the system's. What no font has shows as a box.
"""

import math
import unicodedata
from bisect import bisect_right
from contextlib import suppress
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.core.printable import printable
from cocon.video.pictures.drawing import Colour, blend

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["draw_text", "shortened", "text_width", "wrap_text"]

Pixels = NDArray[np.uint8]

# As files are called on Linux, macOS and Windows; the first ones for alphabets, then those of East Asia, then symbols.
_SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "segoeui.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "Hiragino Sans GB.ttc", "Arial Unicode.ttf", "msyh.ttc"),
    *("YuGothM.ttc", "malgun.ttf", "Symbola.ttf", "seguisym.ttf"),
)
_PROBE_PX = 100
_NO_CHARACTER = "\U0010ffff"
# Rows above the capitals and below the line, as parts of the capitals' height.
_ABOVE, _BELOW = 0.5, 0.5
# Between words, as a part of the capitals' height.
_GAP = 0.45
# Letters such as j begin left of where they are put.
_BEARING_PX = 1


def draw_text(
    canvas: Pixels, text: str, *, left: int, top: int, cap_px: int, colour: Colour, max_px: int | None = None
) -> None:
    """Set one line of text into a picture.

    Args:
        canvas: RGB `uint8 [H, W, 3]`, written to; what does not fit is cut off.
        text: letters that no font has become boxes.
        left: where the text begins.
        top: where its capitals begin, their accents are above.
        cap_px: height of its capitals.
        colour: RGB.
        max_px: room from left to right; what is longer is `shortened`.
    """
    text = text if max_px is None else shortened(text, cap_px, max_px)
    first = top - math.ceil(_ABOVE * cap_px)
    begin = max(0, first)
    rows, columns = slice(begin - first, max(0, canvas.shape[0] - first)), slice(max(0, canvas.shape[1] - left))
    coverage = _lettering(text, cap_px)[rows, columns]
    place = canvas[begin : begin + coverage.shape[0], left : left + coverage.shape[1]]
    place[:] = blend(place, np.array(colour, np.uint8), coverage)


def text_width(text: str, cap_px: int) -> int:
    """Pixels that `draw_text` needs from left to right."""
    return math.ceil(sum(width for _, _, width in _parts(text, cap_px))) + 2 * _BEARING_PX


def wrap_text(text: str, cap_px: int, max_px: int, *, max_lines: int) -> list[str]:
    """Break text between words into lines of at most `max_px`; what is left after the last line shows as `...`."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", cap_px) <= max_px:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], f"{lines[max_lines - 1]} ..."]
    return [shortened(line, cap_px, max_px) for line in lines]


def shortened(text: str, cap_px: int, max_px: int) -> str:
    """The text, or as much of its beginning as fits into `max_px` with `...` behind it."""
    if text_width(text, cap_px) <= max_px:
        return text
    ends = range(1, len(text) + 1)
    kept = bisect_right(ends, max_px, key=lambda end: text_width(f"{text[:end]}...", cap_px))
    return f"{text[:kept]}..."


@lru_cache(maxsize=256)
def _lettering(text: str, cap_px: int) -> NDArray[np.float32]:
    """How much of each pixel a line of text covers: `float32 [h, w, 1]`, from `_ABOVE` the capitals on."""
    from PIL import Image, ImageDraw

    line = math.ceil(_ABOVE * cap_px) + cap_px
    image = Image.new("L", (text_width(text, cap_px), line + math.ceil(_BELOW * cap_px)))
    pen, left = ImageDraw.Draw(image), float(_BEARING_PX)
    for font, part, width in _parts(text, cap_px):
        pen.text((left, line), part, fill=255, font=font, anchor="ls")
        left += width
    return np.asarray(image, np.float32)[..., None] / 255


@lru_cache(maxsize=1024)
def _parts(text: str, cap_px: int) -> list[tuple["FreeTypeFont", str, float]]:
    """The text in parts, each with its font and width: the font that has most of the text, or else one that has it."""
    text = unicodedata.normalize("NFC", printable(text))  # macOS writes an accent behind its letter
    fonts = [_bundled()] if text.isascii() else [_bundled(), *_of_the_system()]
    best = max(fonts, key=lambda font: sum(_has(font, letter) for letter in text))
    owners = [next((font for font in (best, *fonts) if _has(font, letter)), best) for letter in text]
    parts = []
    for (owner, is_gap), pairs in groupby(zip(owners, text, strict=True), key=lambda pair: (pair[0], _is_gap(*pair))):
        font, part = _sized(owner, cap_px), "".join(letter for _, letter in pairs)
        parts.append((font, part, len(part) * _GAP * cap_px if is_gap else font.getlength(part)))
    return parts


def _is_gap(font: "FreeTypeFont", letter: str) -> bool:
    """Whether it is a space of the bundled font, in which words stand too close for small letters."""
    return letter == " " and font is _bundled()


@lru_cache(maxsize=1)
def _bundled() -> "FreeTypeFont":
    from PIL import ImageFont
    from PIL.ImageFont import FreeTypeFont

    font = ImageFont.load_default(_PROBE_PX)
    if not isinstance(font, FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType; the wheels on PyPI have it")
    return font


@lru_cache(maxsize=1)
def _of_the_system() -> tuple["FreeTypeFont", ...]:
    from PIL import ImageFont

    fonts = []
    for name in _SYSTEM_FONTS:
        with suppress(OSError):
            fonts.append(ImageFont.truetype(name, _PROBE_PX))
    return tuple(fonts)


@lru_cache(maxsize=64)
def _sized(font: "FreeTypeFont", cap_px: int) -> "FreeTypeFont":
    """The font with capitals of this height."""
    top = font.getbbox("H", anchor="ls")[1]
    return font.font_variant(size=-_PROBE_PX * cap_px / top)


def _has(font: "FreeTypeFont", letter: str) -> bool:
    return letter.isspace() or _looks(font, letter) != _looks(font, _NO_CHARACTER)


@lru_cache(maxsize=4096)
def _looks(font: "FreeTypeFont", letter: str) -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("1", (_PROBE_PX, _PROBE_PX))
    ImageDraw.Draw(image).text((0, _PROBE_PX), letter, fill=1, font=font, anchor="ls")
    return image.tobytes()
