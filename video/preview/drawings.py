"""How a view is shown: the drawings that the table of views names.

All pictures are RGB `uint8 [H, W, 3]`.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from cocon.video.geometry import resize
from cocon.video.pictures.drawing import blend, draw_mask, draw_skeleton, flow_colours, scale_colours
from cocon.video.preview.panels import caption
from cocon.video.store.stored_view import StoredView
from cocon.video.views import VIEWS, Drawing

__all__ = ["FULL_FLOW_SHARE", "draw_view"]

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
    return _DRAWINGS[VIEWS[stored.view].drawing](picture, stored)


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


_DRAWINGS: Mapping[Drawing, Callable[[Pixels, StoredView], Pixels]] = {
    "picture": _picture,
    "colour wheel": _colour_wheel,
    "skeleton": _skeleton,
    "outline": _outline,
    "colour scale": _colour_scale,
}
