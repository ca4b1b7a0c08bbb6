"""Text in pictures, clean at small sizes."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cocon.video.pictures.drawing import Colour, blend

__all__ = ["draw_text", "shortened", "text_width", "wrap_text"]

Pixels = NDArray[np.uint8]

# Hershey's stroke letters look rough at small sizes unless they are drawn larger and averaged down.
_OVERSAMPLING = 4
_HERSHEY_CAP_PX = 21


def draw_text(canvas: Pixels, text: str, *, left: int, top: int, cap_px: int, colour: Colour) -> None:
    """Set one line of text into a picture.

    Args:
        canvas: RGB `uint8 [H, W, 3]`, written to; what does not fit is cut off.
        text: what OpenCV's letters lack, all but ASCII, becomes `?`.
        left: where the text begins.
        top: where its capitals begin.
        cap_px: height of its capitals.
        colour: RGB.
    """
    coverage = _lettering(text, cap_px)[: max(0, canvas.shape[0] - top), : max(0, canvas.shape[1] - left)]
    place = canvas[top : top + coverage.shape[0], left : left + coverage.shape[1]]
    place[:] = blend(place, np.array(colour, np.uint8), coverage)


def text_width(text: str, cap_px: int) -> int:
    """Pixels that `draw_text` needs from left to right."""
    import cv2

    (width, _), _ = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, *_pen(cap_px))
    return math.ceil(width / _OVERSAMPLING) + 1


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
    kept = next((end for end in range(len(text), 0, -1) if text_width(f"{text[:end]}...", cap_px) <= max_px), 0)
    return f"{text[:kept]}..."


@lru_cache(maxsize=256)
def _lettering(text: str, cap_px: int) -> NDArray[np.float32]:
    """How much of each pixel a line of text covers: `float32 [h, w, 1]`, the capitals' top being the first row."""
    import cv2

    scale, stroke = _pen(cap_px)
    columns, rows = text_width(text, cap_px), math.ceil(cap_px * 1.4)
    large = np.zeros((rows * _OVERSAMPLING, columns * _OVERSAMPLING), np.uint8)
    origin = (0, cap_px * _OVERSAMPLING)
    cv2.putText(large, _ascii(text), origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, stroke, cv2.LINE_AA)
    small = cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA)
    return (small.astype(np.float32) / 255)[..., None]


def _pen(cap_px: int) -> tuple[float, int]:
    """OpenCV's font scale and stroke width for oversampled letters."""
    return cap_px * _OVERSAMPLING / _HERSHEY_CAP_PX, max(1, round(cap_px * _OVERSAMPLING / 8))


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
