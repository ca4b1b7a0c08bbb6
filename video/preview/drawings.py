"""How a view is shown and explained: the drawings that the table of views names.

All pictures are RGB `uint8 [H, W, 3]`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cocon.video.following.rule import Following
from cocon.video.following.windows import PictureWindow
from cocon.video.geometry import resize
from cocon.video.pictures.drawing import (
    LEFT_COLOUR,
    OUTLINE_COLOUR,
    RIGHT_COLOUR,
    WINDOW_COLOUR,
    blend,
    draw_mask,
    draw_skeleton,
    flow_colours,
)
from cocon.video.preview.panels import Word, caption
from cocon.video.store.stored_view import Attributes, StoredView
from cocon.video.views import VIEWS, Drawing

__all__ = ["FULL_FLOW_SHARE", "draw_view", "draw_window", "legend_words", "scale_colours", "window_words"]

Pixels = NDArray[np.uint8]

# Of the short side: 2.6 px at 128 px. Fast limbs move more; most of what moves, less.
FULL_FLOW_SHARE = 0.02

_PICTURE_BRIGHTNESS = 0.6
_NOBODY = "no person found"


def draw_view(picture: Pixels, stored: StoredView) -> Pixels:
    """A view of one frame, as large as the frame's picture.

    Args:
        picture: the frame.
        stored: the view of that frame alone.
    """
    return _DRAWINGS[VIEWS[stored.view].drawing].draw(picture, stored)


def legend_words(view: str, known: Attributes) -> list[Word]:
    """What a legend says of a view's drawing; `known` is what the view's attributes say."""
    return _DRAWINGS[VIEWS[view].drawing].explain(view, known)


def draw_window(picture: Pixels, window: PictureWindow) -> Pixels:
    """A picture `uint8 [H, W, 3]` in which what models look at is framed."""
    import cv2

    top, left, side = window.pixels(*picture.shape[:2])
    drawn, width = picture.copy(), max(1, min(picture.shape[:2]) // 100)
    for colour, extra in (((0, 0, 0), 2), (WINDOW_COLOUR, 0)):
        cv2.rectangle(drawn, (left, top), (left + side - 1, top + side - 1), colour, width + extra)
    return drawn


def window_words(following: Following) -> list[Word]:
    """What a legend says of the frames that `draw_window` draws."""
    return [Word(f"window around people, by {following.by}", [WINDOW_COLOUR])]


def scale_colours(amounts: Pixels) -> Pixels:
    """Colour amounts `uint8 [H, W]` from dark blue for 0 to yellow for 255, evenly to the eye: RGB `uint8 [H, W, 3]`.

    The map is viridis (Smith and van der Walt, 2015), which colour-blind people can read.
    """
    import cv2

    colours: Pixels = cv2.cvtColor(cv2.applyColorMap(amounts, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return colours


def _picture(picture: Pixels, stored: StoredView) -> Pixels:
    return picture


def _colour_wheel(picture: Pixels, stored: StoredView) -> Pixels:
    flow = _only_frame(stored)
    return resize(flow_colours(flow, full_px=FULL_FLOW_SHARE * min(flow.shape[:2])), *picture.shape[:2])


def _skeleton(picture: Pixels, stored: StoredView) -> Pixels:
    found = _peaks(_only_frame(stored)) if stored.keypoints is None else stored.keypoints[0]
    scale = np.array([picture.shape[1] / stored.width, picture.shape[0] / stored.height, 1.0], np.float32)
    keypoints = found.astype(np.float32) * scale
    if not np.nan_to_num(keypoints[..., 2]).any():
        return caption(picture, _NOBODY)
    return draw_skeleton(blend(np.zeros_like(picture), picture, _PICTURE_BRIGHTNESS), keypoints)


def _outline(picture: Pixels, stored: StoredView) -> Pixels:
    mask = _only_frame(stored)
    return draw_mask(picture, mask) if mask.any() else caption(picture, _NOBODY)


def _colour_scale(picture: Pixels, stored: StoredView) -> Pixels:
    return resize(scale_colours(_only_frame(stored)[..., 0]), *picture.shape[:2])


def _only_frame(stored: StoredView) -> Pixels:
    assert stored.pixels is not None
    return stored.pixels[0]


def _peaks(heatmaps: Pixels) -> NDArray[np.float16]:
    """Key points `[1, 17, 3]` of one person's heat-maps `uint8 [h, w, 17]`."""
    height, width, num_points = heatmaps.shape
    flat = heatmaps.reshape(height * width, num_points)
    rows, columns = np.divmod(flat.argmax(axis=0), width)
    return np.stack([columns + 0.5, rows + 0.5, flat.max(axis=0) / 255], axis=-1)[None].astype(np.float16)


def _explain_wheel(view: str, known: Attributes) -> list[Word]:
    interval = known.get("flow_interval_seconds")
    span = f" in {interval * 1000:.0f} ms" if isinstance(interval, float) and interval else ""
    return [Word(f"{view}: rim = {FULL_FLOW_SHARE * 100:.0f} % of short side{span}", has_wheel=True)]


def _explain_scale(view: str, known: Attributes) -> list[Word]:
    """The range that the user's own view was stored with, if it was."""
    near, far = (known.get(f"{view}_{end}", unsaid) for end, unsaid in (("near", 0), ("far", 255)))
    ends = " to ".join(end if isinstance(end, str) else f"{end:g}" for end in (near, far))
    colours = scale_colours(np.arange(256, dtype=np.uint8)[None])[0].tolist()
    return [Word(f"{view}: {ends}", [(red, green, blue) for red, green, blue in colours])]


class _Drawing(NamedTuple):
    """How to draw a view on a frame's picture, and what a legend says of it: by the view's name and attributes."""

    draw: Callable[[Pixels, StoredView], Pixels]
    explain: Callable[[str, Attributes], list[Word]]


_DRAWINGS: Mapping[Drawing, _Drawing] = {
    "picture": _Drawing(_picture, lambda view, known: []),
    "colour wheel": _Drawing(_colour_wheel, _explain_wheel),
    "skeleton": _Drawing(_skeleton, lambda view, known: [Word("left", [LEFT_COLOUR]), Word("right", [RIGHT_COLOUR])]),
    "outline": _Drawing(_outline, lambda view, known: [Word(f"{view} 50 %", [OUTLINE_COLOUR])]),
    "colour scale": _Drawing(_colour_scale, _explain_scale),
}
