"""Random crops of training clips: where they lie, and which of several proposals shows most."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.training.config.input_sections import AugmentSection
from cocon.training.data.colour import looked_up
from cocon.training.data.reading.decoded_video import DecodedView
from cocon.video.views import VIEWS

__all__ = ["Crop", "draw_crop", "fullest_crop", "pose_points"]

_TRIES = 10


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle in pixels of the decoded view."""

    top: int
    left: int
    height: int
    width: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of its pixels."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def moved(self, origin: DecodedView, target: DecodedView) -> "Crop":
        """The same part of the picture in another view of it."""
        down, right = target.height / origin.height, target.width / origin.width
        height = min(target.height, max(1, round(self.height * down)))
        width = min(target.width, max(1, round(self.width * right)))
        top, left = (
            min(round(self.top * down), target.height - height),
            min(round(self.left * right), target.width - width),
        )
        return Crop(top, left, height, width)


def draw_crop(video: DecodedView, view: str, how: AugmentSection, rng: np.random.Generator) -> Crop:
    """Draw a crop: a square by its side, or a rectangle by its area and aspect ratio where these are configured."""
    if how.crop_area and view not in how.crop_scale_of:
        height, width = _drawn_sides(video, how.crop_area, how.crop_aspect, rng)
    else:
        share = rng.uniform(*how.crop_scale_of.get(view, how.crop_scale))
        height = width = max(1, round(min(video.height, video.width) * share))
    top, left = rng.integers(0, video.height - height + 1), rng.integers(0, video.width - width + 1)
    return Crop(int(top), int(left), height, width)


def fullest_crop(crops: Sequence[Crop], video: DecodedView, view: str, indices: NDArray[np.int64]) -> Crop:
    """The crop with the largest mean distance from the neutral byte over some frames, the first of equal ones.

    Args:
        crops: proposals; a single one is not looked at.
        video: the decoded view.
        view: its name.
        indices: the frames, `int64 [F]`.
    """
    import cv2

    if len(crops) == 1:
        return crops[0]
    if video.pose is not None:  # drawn points are equally large in every crop, so their scores tell
        x, y, score = np.moveaxis(pose_points(video, indices), -1, 0)  # each [F, P, 17]
        return max(crops, key=lambda crop: float(np.nansum(np.where(_is_inside(x, y, crop), score, 0.0))))
    assert video.pixels is not None
    distance = np.abs(np.arange(256) - VIEWS[view].neutral).astype(np.uint8)
    amounts = np.zeros(video.pixels.shape[1:], np.uint32)  # [H, W, C]
    for index in indices:
        amounts += looked_up(distance, video.pixels[index])
    sums = np.asarray(cv2.integral(amounts.sum(axis=-1, dtype=np.float64)), np.float64)  # [H + 1, W + 1]
    return max(crops, key=lambda crop: _mean_inside(sums, crop))


def pose_points(video: DecodedView, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """Key points of some frames in pixels of the decoded view, score: `float32 [F, P, 17, 3]`."""
    assert video.pose is not None and video.pose.keypoints is not None
    points = video.pose.keypoints[indices].astype(np.float32)
    points[..., :2] *= np.array([video.width / video.pose.width, video.height / video.pose.height], np.float32)
    return points


def _drawn_sides(
    video: DecodedView, area: tuple[float, float], aspect: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int]:
    """Height and width by area and aspect ratio, as RandomResizedCrop draws them; the largest if none drawn fits."""
    for _ in range(_TRIES):
        pixels = video.height * video.width * rng.uniform(*area)
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))  # width / height
        height, width = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < height <= video.height and 0 < width <= video.width:
            return height, width
    ratio = min(max(video.width / video.height, aspect[0]), aspect[1])
    return min(video.height, round(video.width / ratio)), min(video.width, round(video.height * ratio))


def _is_inside(x: NDArray[np.float32], y: NDArray[np.float32], crop: Crop) -> NDArray[np.bool_]:
    inside_rows = (y >= crop.top) & (y < crop.top + crop.height)
    return inside_rows & (x >= crop.left) & (x < crop.left + crop.width)


def _mean_inside(sums: NDArray[np.float64], crop: Crop) -> float:
    rows, columns = crop.window
    total = (
        sums[rows.stop, columns.stop]
        - sums[rows.start, columns.stop]
        - sums[rows.stop, columns.start]
        + sums[rows.start, columns.start]
    )
    return float(total) / (crop.height * crop.width)
