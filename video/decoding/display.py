"""From stored pictures to what a viewer sees: square pixels, and the right way up."""

import struct
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["display_shape", "upright"]


def display_shape(height: int, width: int, sample_aspect_ratio: Fraction | None) -> tuple[int, int]:
    """Height and width of a stored picture once its pixels are square: the width changes, the lines stay.

    Args:
        height: of the picture as stored.
        width: likewise.
        sample_aspect_ratio: width of a stored pixel by its height; None or nothing positive means square ones.
    """
    if not sample_aspect_ratio or sample_aspect_ratio <= 0:
        return height, width
    return height, max(1, round(width * sample_aspect_ratio))


def upright(pixels: NDArray[np.uint8], matrix: bytes | None) -> NDArray[np.uint8]:
    """Turn and mirror a picture as its display matrix says; eight orientations.

    Args:
        pixels: `uint8 [H, W, C]` as stored.
        matrix: nine int32 a b u c d v x y w, which show the point (p, q) at (a·p + c·q, b·p + d·q), rightwards and
            downwards (ISO 14496-12, 6.2.2); None for the identity. Between two orientations, the nearer counts.

    Returns:
        `uint8 [H, W, C]`, or `[W, H, C]` of a quarter turn.
    """
    if matrix is None:
        return pixels
    import cv2

    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        turned, rightwards, downwards = pixels, a, d
    else:
        turned, rightwards, downwards = cv2.transpose(pixels), c, b  # [W, H, C]
    if rightwards < 0:
        turned = cv2.flip(turned, 1)
    if downwards < 0:
        turned = cv2.flip(turned, 0)
    return np.asarray(turned, np.uint8)
