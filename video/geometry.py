"""Spatial rule of a view: the picture, or the window around people in it, is resized, and the centre is cropped."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.video.following.rule import Following

__all__ = ["Geometry", "centre_crop", "have_same_shape", "resize", "resize_short_side", "resized_shape"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a frame of any size becomes a square network input.

    Attributes:
        resize_px: length of the short side after resizing; the aspect ratio is kept.
        crop_px: side H = W of the square cut out of the middle.
        following: how the part of the picture is found that is resized, a square around people; None takes the whole.
    """

    resize_px: int
    crop_px: int
    following: Following | None = None

    def __post_init__(self) -> None:
        if not 0 < self.crop_px <= self.resize_px:
            raise ValueError(f"geometry needs 0 < crop_px ({self.crop_px}) <= resize_px ({self.resize_px})")

    def resized_shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a picture `height` × `width` before the centre is cut out of it."""
        if self.following is not None:
            return self.resize_px, self.resize_px
        return resized_shape(height, width, self.resize_px)


# Rounding of sizes, when pictures are reduced, stays below this.
_SAME_ASPECT = 0.05


def have_same_shape(height: int, width: int, other_height: int, other_width: int) -> bool:
    """Whether two pictures have the same ratio of width to height, as far as whole pixels allow."""
    return abs(height * other_width / (width * other_height) - 1) <= _SAME_ASPECT


def resized_shape(height: int, width: int, short_side_px: int) -> tuple[int, int]:
    """Height and width after the short side became `short_side_px`, aspect ratio kept."""
    scale = short_side_px / min(height, width)
    return max(short_side_px, round(height * scale)), max(short_side_px, round(width * scale))


def resize(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize one frame `uint8 [H, W, C]`, any C; area averaging when shrinking, bilinear when enlarging."""
    import cv2

    if pixels.shape[:2] == (height, width):
        return pixels
    method = cv2.INTER_AREA if height < pixels.shape[0] else cv2.INTER_LINEAR
    resized = cv2.resize(pixels, (width, height), interpolation=method)
    return resized.reshape(height, width, pixels.shape[2])  # cv2 drops a channel axis of length one


def resize_short_side(pixels: NDArray[np.uint8], short_side_px: int) -> NDArray[np.uint8]:
    """Resize one frame `uint8 [H, W, C]` so that its short side has `short_side_px` pixels."""
    return resize(pixels, *resized_shape(pixels.shape[0], pixels.shape[1], short_side_px))


def centre_crop(pixels: NDArray[np.uint8], crop_px: int) -> NDArray[np.uint8]:
    """Cut the middle `crop_px` × `crop_px` out of `uint8 [..., H, W, C]`."""
    top = (pixels.shape[-3] - crop_px) // 2
    left = (pixels.shape[-2] - crop_px) // 2
    return pixels[..., top : top + crop_px, left : left + crop_px, :]
