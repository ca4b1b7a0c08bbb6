"""Writing the video of what was followed, with the box drawn on it; the file appears whole or not at all."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.tracking.boxes import Box, TrackedFrame
from cocon.video.decoding.frames import Frame
from cocon.video.output_file import output_file
from cocon.video.pictures.drawing import LEFT_COLOUR, RIGHT_COLOUR, SHEET_PAPER, Colour
from cocon.video.pictures.encode import write_mp4
from cocon.video.pictures.lettering import draw_text, text_width

__all__ = ["draw_box", "write_film"]

Pixels = NDArray[np.uint8]

_MIN_STROKE_PX, _SIDE_PER_STROKE = 2, 200
# Of a lost target's box: length of a dash, and of the gap behind it, in strokes.
_DASH = 4
_MIN_CAP_PX, _SIDE_PER_CAP = 7, 40
_LOST = "lost"


def write_film(output: Path, frames: Iterator[TrackedFrame]) -> None:
    """Draw the boxes into an MP4 that begins with the first frame.

    Args:
        output: The file; an old one is replaced.
        frames: In order of time, at least one.

    Raises:
        UsageError: The file cannot be written; or what taking frames raises.
    """
    first = next(frames)  # what is wrong with video or box shows here, before there is a folder for the file
    with output_file(output) as partial:
        write_mp4(partial, _drawn(chain([first], frames), first.seconds))


def draw_box(pixels: Pixels, box: Box, *, is_lost: bool) -> Pixels:
    """Draw a box: blue where the target was found, orange, dashed and said to be lost where it was last seen.

    Args:
        pixels: RGB `uint8 [H, W, 3]`; it stays as it is.
        box: x, y, width, height in pixels, `float64 [4]`.
        is_lost: Whether the target is.

    Returns:
        RGB `uint8 [H, W, 3]`.
    """
    import cv2

    drawn = pixels.copy()
    side = min(pixels.shape[:2])
    stroke = max(_MIN_STROKE_PX, side // _SIDE_PER_STROKE)
    colour = RIGHT_COLOUR if is_lost else LEFT_COLOUR
    lines = _dashes(box, _DASH * stroke) if is_lost else [_corners(box)]
    for width, ink in ((stroke + 2, SHEET_PAPER), (stroke, colour)):
        cv2.polylines(drawn, lines, not is_lost, ink, width, cv2.LINE_AA)
    if is_lost:
        cap_px = max(_MIN_CAP_PX, side // _SIDE_PER_CAP)
        _draw_note(drawn, box, cap_px, colour)
    return drawn


def _drawn(frames: Iterator[TrackedFrame], start_seconds: float) -> Iterator[Frame]:
    for frame in frames:
        drawn = draw_box(frame.pixels, frame.tracked.box, is_lost=frame.tracked.is_lost)
        height, width = drawn.shape[:2]
        # H.264 has no odd sides.
        yield frame.seconds - start_seconds, np.pad(drawn, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _corners(box: Box) -> NDArray[np.int32]:
    """The box's corners, clockwise from the top left: `int32 [4, 2]`, x and y."""
    (left, top), (right, bottom) = box[:2], box[:2] + box[2:]
    places = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return np.rint(places - 0.5).astype(np.int32)  # the centre of OpenCV's pixel 0 is ours at 0.5


def _dashes(box: Box, dash_px: int) -> list[NDArray[np.int32]]:
    """Pieces of the box's outline: each `int32 [2, 2]`, x and y of both ends."""
    corners = _corners(box).astype(np.float64)
    dashes = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        count = max(1, round(float(np.abs(end - start).sum()) / (2 * dash_px)))
        step = (end - start) / count
        dashes += [np.rint([start + i * step, start + (i + 0.5) * step]).astype(np.int32) for i in range(count)]
    return dashes


def _draw_note(canvas: Pixels, box: Box, cap_px: int, colour: Colour) -> None:
    """Say above the box, or inside it where there is no room, that the target is lost."""
    x, y = (max(0, round(float(place))) for place in box[:2])
    top = y - 2 * cap_px if y >= 2 * cap_px else y + cap_px
    left = min(x, max(0, canvas.shape[1] - text_width(_LOST, cap_px)))
    canvas[max(0, top - 3) : top + cap_px + 3, max(0, left - 3) : left + text_width(_LOST, cap_px) + 3] = SHEET_PAPER
    draw_text(canvas, _LOST, left=left, top=top, cap_px=cap_px, colour=colour)
