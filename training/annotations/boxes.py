"""True boxes of a tracked target: OTB's files, and the boxes of generated figures.

Boxes are x, y, width, height in pixels of the video, `float64 [F, 4]`, one row per frame; pixel 0 is what lies between
0 and 1. A row of NaN is a frame without target.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.texts.text_files import decode_text, text_lines

__all__ = ["mask_boxes", "read_otb_boxes"]

Boxes = NDArray[np.float64]

_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
_RULE = "must be x, y, width and height, with width and height positive, or four zeros or NaN without a target"
# From here on a byte of a mask is more person than not.
_MOSTLY_PERSON = 128


def read_otb_boxes(path: Path) -> Boxes:
    """Boxes of a `groundtruth_rect.txt` as OTB has them: one line per frame, numbers apart by commas, tabs or blanks.

    Args:
        path: the file; its first pixel is 1, as in MATLAB.

    Returns:
        `float64 [F, 4]`, whose first pixel is 0.

    Raises:
        UsageError: there is no such file, it has no line, or a line is no box; names file, line and rule.
    """
    try:
        lines = text_lines(decode_text(path.read_bytes(), f"boxes '{printable(path)}'").rstrip())
    except OSError as error:
        raise UsageError(f"boxes '{printable(path)}' cannot be read ({error.strerror})") from error
    if not lines:
        raise UsageError(f"boxes '{printable(path)}' has no line; it must have one per frame of the video")
    boxes = np.array([_box(path, number, line) for number, line in enumerate(lines, start=1)])
    boxes[(boxes == 0).all(axis=1)] = np.nan
    boxes[:, :2] -= 1
    return boxes


def mask_boxes(masks: NDArray[np.uint8], *, height: int, width: int) -> Boxes:
    """The smallest box around what is mostly person in each frame, to a pixel of the mask.

    Args:
        masks: person probability × 255, `uint8 [F, h, w, 1]`.
        height: of the video's frames, in pixels.
        width: likewise.

    Returns:
        `float64 [F, 4]`; NaN where there is no person.
    """
    is_person = masks[..., 0] >= _MOSTLY_PERSON  # [F, h, w]
    top, bottom = _extents(is_person.any(axis=2), height)
    left, right = _extents(is_person.any(axis=1), width)
    return np.stack([left, top, right - left, bottom - top], axis=1)


def _extents(is_taken: NDArray[np.bool_], length_px: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the cells that are taken in each row of `bool [F, n]` begin and end: pixels `float64 [F]`, or NaN."""
    count = is_taken.shape[1]
    first, last = is_taken.argmax(axis=1), count - is_taken[:, ::-1].argmax(axis=1)
    found = np.stack([first, last]) * (length_px / count)
    begins, ends = np.where(is_taken.any(axis=1), found, np.nan)
    return begins, ends


def _box(path: Path, number: int, line: str) -> list[float]:
    """The four numbers of a line as they stand."""
    words = _SEPARATOR.split(line.strip())
    try:
        box = [float(word) for word in words]
    except ValueError:
        box = []
    is_none = len(box) == 4 and (not any(box) or bool(np.isnan(box).all()))
    if not is_none and not (len(box) == 4 and np.isfinite(box).all() and min(box[2:]) > 0):
        raise UsageError(f"boxes '{printable(path)}' line {number}: {line.strip()[:60]!r} {_RULE}")
    return box
