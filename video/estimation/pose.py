"""Pose heat-maps drawn from key points."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["COCO_KEYPOINTS", "LEFT_RIGHT_SWAP", "draw_heatmaps"]

COCO_KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

# Channel order of a mirrored pose: a picture flipped left to right shows a left wrist where the right one was.
LEFT_RIGHT_SWAP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)

# Standard deviation of a key point's Gaussian as a share of the short side: 2 px at the default 64 px.
_SIGMA_SHARE = 1 / 32


def draw_heatmaps(keypoints: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.uint8]:
    """Draw one Gaussian per key point, scaled by its score; people share channels by the maximum.

    Args:
        keypoints: `float32 [F, P, 17, 3]`: x, y in pixels of the drawn picture, score in 0..1; a point that is not a
            number, or has score 0, is not drawn.
        height: H of the picture.
        width: W of the picture.

    Returns:
        `uint8 [F, H, W, 17]`, peak 255.
    """
    sigma = min(height, width) * _SIGMA_SHARE
    x, y, score = np.moveaxis(keypoints.astype(np.float32), -1, 0)  # each [F, P, 17]
    drawn = np.isfinite(x) & np.isfinite(y) & (score > 0)
    peak = np.where(drawn, np.clip(score, 0.0, 1.0) * 255.0, 0.0).astype(np.float32)
    # A Gaussian is a product of two one-dimensional ones; pixel centres are at half-integers.
    columns = _gaussian(np.arange(width, dtype=np.float32) + 0.5, np.where(drawn, x, 0.0), sigma)  # [F, P, 17, W]
    rows = _gaussian(np.arange(height, dtype=np.float32) + 0.5, np.where(drawn, y, 0.0), sigma) * peak[..., None]
    maps = np.einsum("fpkh,fpkw->fphwk", rows, columns)  # [F, P, H, W, 17]
    strongest = maps.max(axis=1, initial=0.0)  # [F, H, W, 17]
    return np.rint(strongest).astype(np.uint8)


def _gaussian(positions: NDArray[np.float32], centres: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    offsets = (positions - centres[..., None]) / sigma
    return np.exp(-0.5 * offsets * offsets).astype(np.float32)
