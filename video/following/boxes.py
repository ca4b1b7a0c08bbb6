"""Where people are in a frame: the box around their key points, or around their mask.

box_of("pose", stored.keypoints[0], height, width)      # Box(left=0.2, top=0.1, right=0.5, bottom=0.9), or None
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cocon.video.following.rule import FollowedView

__all__ = ["Box", "box_of"]

# A key point less sure than this may be anywhere.
_LEAST_SCORE = 0.3
# Fewer are no person whom to look at.
_LEAST_POINTS = 3
# Of a mask's pixels so many may lie beyond each side of the box: specks are none of the person.
_SPECK_SHARE = 0.005
_LEAST_MASK_SHARE = 0.0005


class Box(NamedTuple):
    """A part of a picture: left and right as shares of its width, top and bottom of its height, all in 0..1."""

    left: float
    top: float
    right: float
    bottom: float


def box_of(view: FollowedView, row: NDArray[Any], height: int, width: int) -> Box | None:
    """The box around all people of a frame; None where there is nobody.

    Args:
        view: which of the two the row is of.
        row: what the store keeps of a frame: key points `float16 [P, 17, 3]`, of which those beyond an edge count as
            on it, or a mask `uint8 [h, w, 1]`.
        height: of the frame that key points refer to.
        width: likewise.
    """
    return _of_keypoints(row, height, width) if view == "pose" else _of_mask(row)


def _of_keypoints(row: NDArray[Any], height: int, width: int) -> Box | None:
    points = row.astype(np.float64)  # [P, 17, 3]
    is_sure = np.isfinite(points).all(axis=-1) & (points[..., 2] >= _LEAST_SCORE)  # [P, 17]
    is_sure &= is_sure.sum(axis=-1, keepdims=True) >= _LEAST_POINTS
    if not is_sure.any():
        return None
    x = np.clip(points[..., 0][is_sure] / width, 0.0, 1.0)
    y = np.clip(points[..., 1][is_sure] / height, 0.0, 1.0)
    return Box(float(x.min()), float(y.min()), float(x.max()), float(y.max()))


def _of_mask(row: NDArray[Any]) -> Box | None:
    is_person = row[..., 0] >= 128  # [h, w]
    if is_person.sum() < max(1, _LEAST_MASK_SHARE * is_person.size):
        return None
    (left, right), (top, bottom) = (_bounds(is_person.sum(axis=axis)) for axis in (0, 1))
    return Box(left, top, right, bottom)


def _bounds(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Begin and end, as shares, of all of a row of counts but the specks."""
    before = np.cumsum(counts)
    specks = _SPECK_SHARE * before[-1]
    begin = int(np.searchsorted(before, specks, side="right"))
    end = int(np.searchsorted(before, before[-1] - specks, side="left")) + 1
    return begin / len(counts), end / len(counts)
