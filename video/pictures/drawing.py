"""Views made visible: flow as colours, a skeleton and a mask on the picture.

    flow_colours(flow_bytes, full_px=5.0)                # uint8 [h, w, 2] → RGB uint8 [h, w, 3]
    draw_skeleton(pixels, keypoints)                     # RGB uint8 [H, W, 3] and [P, 17, 3] → RGB uint8 [H, W, 3]
    draw_mask(pixels, mask)                              # RGB uint8 [H, W, 3] and [h, w, 1] → RGB uint8 [H, W, 3]

Left, right, a mask's outline and windows have colours of Okabe and Ito's set, which colour-blind people tell apart
(https://jfly.uni-koeln.de/color).
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.video.estimation.flow import flow_from_bytes
from cocon.video.estimation.pose import COCO_KEYPOINTS
from cocon.video.geometry import resize

__all__ = [
    "LEFT_COLOUR",
    "OUTLINE_COLOUR",
    "RIGHT_COLOUR",
    "SHEET_BAR",
    "SHEET_BRIGHT",
    "SHEET_DIM",
    "SHEET_PAPER",
    "WINDOW_COLOUR",
    "Colour",
    "blend",
    "colour_wheel",
    "draw_mask",
    "draw_skeleton",
    "flow_colours",
]

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

LEFT_COLOUR: Colour = (86, 180, 233)  # sky blue
RIGHT_COLOUR: Colour = (230, 159, 0)  # orange
OUTLINE_COLOUR: Colour = (240, 228, 66)  # yellow
WINDOW_COLOUR: Colour = (204, 121, 167)  # reddish purple
# Of sheets: below everything, below headers and empty places, of what is read first, of the rest.
SHEET_PAPER: Colour = (18, 18, 20)
SHEET_BAR: Colour = (44, 44, 48)
SHEET_BRIGHT: Colour = (240, 240, 240)
SHEET_DIM: Colour = (165, 165, 170)
_MIDDLE_COLOUR: Colour = (235, 235, 235)
_EDGE_COLOUR: Colour = (0, 0, 0)

# Steps from one hue of the wheel to the next, as many as people tell apart: Baker et al. 2011 and their `colorcode`.
_WHEEL = (
    ((255, 0, 0), 15),
    ((255, 255, 0), 6),
    ((0, 255, 0), 4),
    ((0, 255, 255), 11),
    ((0, 0, 255), 13),
    ((255, 0, 255), 6),
)

# COCO's own list (https://cocodataset.org/#format-data), by name.
_LIMBS = (
    *(("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee")),
    *(("right_knee", "right_hip"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip")),
    *(("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow")),
    *(("right_shoulder", "right_elbow"), ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist")),
    *(("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear")),
    *(("right_eye", "right_ear"), ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder")),
)
_SURE_SCORE = 0.5
_FAINT = 0.35
_GROUND_BRIGHTNESS = 0.4

# Small people get thin lines.
_MIN_LINE_PX, _EXTENT_PER_LINE_PX = 2, 80

# OpenCV takes fixed-point coordinates for lines between pixels.
_SHIFT = 4


def flow_colours(flow: Pixels, *, full_px: float) -> Pixels:
    """Colour flow by the Middlebury wheel (Baker et al., IJCV 2011): hue is direction, saturation is magnitude.

    Rest is white, a point moving right is red, one moving down yellow.

    Args:
        flow: bytes `uint8 [..., 2]`, see `cocon.video.estimation.flow`.
        full_px: displacement in pixels from which on colours are fully saturated.

    Returns:
        RGB `uint8 [..., 3]`.
    """
    return _colour_table(full_px)[flow[..., 1], flow[..., 0]]


@lru_cache(maxsize=4)
def colour_wheel(side_px: int) -> tuple[Pixels, NDArray[np.float32]]:
    """The legend of `flow_colours`: the colour of each direction, at the rim with full saturation.

    Returns:
        RGB `uint8 [side_px, side_px, 3]`, and how much of each pixel the disc covers, `float32 [side_px, side_px]`.
    """
    offsets = (np.arange(side_px, dtype=np.float32) + 0.5) * 2 / side_px - 1
    x, y = np.meshgrid(offsets, offsets)
    coverage = np.clip((1 - np.hypot(x, y)) * side_px / 2 + 0.5, 0, 1).astype(np.float32)
    return _saturated(x, y), coverage


def draw_skeleton(pixels: Pixels, keypoints: NDArray[np.floating[Any]]) -> Pixels:
    """Draw COCO-17 limbs and joints: the person's left side blue, the right one orange, the middle light grey.

    What has a score below 0.5 is drawn faint; what has score 0, or is not a number, is not drawn.

    Args:
        pixels: RGB `uint8 [H, W, 3]`; it stays as it is.
        keypoints: `[P, 17, 3]`: x, y in pixels of this picture, score.
    """
    people = np.nan_to_num(keypoints.astype(np.float64), nan=0.0)
    people[~np.isfinite(keypoints).all(axis=-1)] = 0.0
    everything = pixels.copy()
    for person in people:
        _draw_person(everything, person, min_score=0.0)
    drawn = blend(pixels, everything, _FAINT)
    for person in people:
        _draw_person(drawn, person, min_score=_SURE_SCORE)
    return drawn


def draw_mask(pixels: Pixels, mask: Pixels) -> Pixels:
    """Show people in colour on a dim grey ground, and outline where the probability passes one half.

    Args:
        pixels: RGB `uint8 [H, W, 3]`; it stays as it is.
        mask: person probability × 255, `uint8 [h, w, 1]`.
    """
    import cv2

    height, width = pixels.shape[:2]
    person = resize(mask, height, width)  # [H, W, 1]
    ground = (pixels.mean(axis=2, keepdims=True) * _GROUND_BRIGHTNESS).astype(np.uint8)
    drawn = blend(np.broadcast_to(ground, pixels.shape), pixels, person.astype(np.float32) / 255)
    outlines, _ = cv2.findContours((person[..., 0] >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outlines, -1, OUTLINE_COLOUR, max(1, min(height, width) // 200), cv2.LINE_AA)
    return drawn


def blend(below: Pixels, above: Pixels, share: float | NDArray[np.float32]) -> Pixels:
    """Lay colours over others: `share` of `above`, the rest of `below`; all broadcast to `uint8 [..., 3]`."""
    return np.rint(below + (above.astype(np.float32) - below) * share).astype(np.uint8)


@lru_cache(maxsize=4)
def _colour_table(full_px: float) -> Pixels:
    """Colours of all flow bytes: RGB `uint8 [256, 256, 3]`, by y, then x."""
    displacements = flow_from_bytes(np.arange(256, dtype=np.uint8)) / full_px
    x, y = np.meshgrid(displacements, displacements)
    return _saturated(x, y)


def _saturated(x: NDArray[np.float32], y: NDArray[np.float32]) -> Pixels:
    """Colours `uint8 [..., 3]` of displacements; those of length 1 and more are saturated."""
    hues, steps = zip(*_WHEEL, strict=True)
    positions = np.concatenate([[0], np.cumsum(steps)])
    position = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * positions[-1]
    ring = np.array([*hues, hues[0]], np.float32)  # [7, 3]
    hue = np.stack([np.interp(position, positions, ring[:, channel]) for channel in range(3)], axis=-1)  # [..., 3]
    saturation = np.minimum(np.hypot(x, y), 1.0)[..., None]
    return np.rint(255 - saturation * (255 - hue)).astype(np.uint8)


def _draw_person(canvas: Pixels, person: NDArray[np.float64], *, min_score: float) -> None:
    """Draw limbs and joints that have a score, at least `min_score`: first their dark edges, then all in colour."""
    import cv2

    scored = person[person[:, 2] > 0, :2]
    if not len(scored):
        return
    extent = min(*canvas.shape[:2], np.ptp(scored, axis=0).max())
    width = max(_MIN_LINE_PX, round(extent / _EXTENT_PER_LINE_PX))
    at = {  # pixel centres are at half-integers, OpenCV's at integers
        name: tuple(round((place - 0.5) * (1 << _SHIFT)) for place in point[:2])
        for name, point in zip(COCO_KEYPOINTS, person, strict=True)
        if point[2] > 0 and point[2] >= min_score
    }
    limbs = [limb for limb in _LIMBS if at.keys() >= set(limb)]
    for edge_px in (2, 0):
        for limb in limbs:
            colour = _EDGE_COLOUR if edge_px else _side_colour(*limb)
            cv2.line(canvas, at[limb[0]], at[limb[1]], colour, width + edge_px, cv2.LINE_AA, _SHIFT)
        for name, centre in at.items():
            colour = _EDGE_COLOUR if edge_px else _side_colour(name)
            radius = (2 * width + edge_px) * (1 << _SHIFT) // 2
            cv2.circle(canvas, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _side_colour(*names: str) -> Colour:
    sides = {name.partition("_")[0] for name in names} - {"nose"}
    if len(sides) != 1:
        return _MIDDLE_COLOUR
    return LEFT_COLOUR if "left" in sides else RIGHT_COLOUR
