"""One view of one video as the store keeps it, and what must hold of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.video.clips import nearest_frame
from cocon.video.estimation.flow import resize_flow_bytes
from cocon.video.estimation.pose import draw_heatmaps
from cocon.video.following.windows import PictureWindow
from cocon.video.geometry import resize
from cocon.video.views import VIEWS

__all__ = ["FRAMES_WITH_PERSON", "Attributes", "StoredView"]

_FLOAT16_MAX = float(np.finfo(np.float16).max)

Attributes = Mapping[str, float | str]

FRAMES_WITH_PERSON = "num_frames_with_person"
"""The attribute of a view of people that says in how many of its frames anybody was found."""


@dataclass(frozen=True, slots=True)
class StoredView:
    """One view of one video, as stored.

    Attributes:
        view: name of the view.
        timestamps: presentation times in seconds, `float64 [F]`.
        pixels: `uint8 [F, H, W, C]`, or None for a pose. Many compressed ones are a `PackedArray`, of which rows are
            unpacked as they are asked for: that is done for a few at a time.
        keypoints: `float16 [F, P, 17, 3]` (x, y in pixels of a `height` × `width` frame, score), or None; likewise.
        height: of the stored frames, or of the frame that key points refer to.
        width: likewise.
        attributes: what else is known, such as `flow_interval_seconds`, and `content_sha256` of the video.
    """

    view: str
    timestamps: NDArray[np.float64]
    pixels: NDArray[np.uint8] | None
    keypoints: NDArray[np.float16] | None
    height: int
    width: int
    attributes: Attributes

    def check(self) -> None:
        """Make sure that no later use can fail; a file that was read may hold anything.

        Raises:
            ValueError: arrays of another type or shape than the view has, no frame, or times that do not increase.
        """
        if (self.pixels is None) == (self.keypoints is None):
            raise ValueError("there must be either frames or key points")
        if not all(type(side) is int and side > 0 for side in (self.height, self.width)):
            raise ValueError(f"height ({self.height!r}) and width ({self.width!r}) must be positive whole numbers")
        num_frames = self._check_pixels() if self.keypoints is None else self._check_keypoints(self.keypoints)
        times = self.timestamps
        if num_frames == 0:
            raise ValueError("it has no frame")
        if times.dtype != np.float64 or times.shape != (num_frames,):
            raise ValueError(
                f"timestamps {times.dtype} {list(times.shape)} must be float64, one per frame ({num_frames})"
            )
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
            raise ValueError("timestamps must be finite and increase")
        if not isinstance(self.attributes, Mapping):
            raise ValueError("attributes must have names")

    def nearest(self, seconds: float) -> int:
        """The frame nearest to a moment after the first one; the last one behind the end."""
        return nearest_frame(self.timestamps, seconds + float(self.timestamps[0]))

    @property
    def rows(self) -> NDArray[np.uint8] | NDArray[np.float16]:
        """What is stored of each frame: its pixels or its key points."""
        rows = self.pixels if self.keypoints is None else self.keypoints
        assert rows is not None
        return rows

    def at(self, seconds: float) -> Self:
        """The view of the frame that is `nearest` to a moment, alone."""
        index = self.nearest(seconds)
        pixels = None if self.pixels is None else self.pixels[index, None]
        keypoints = None if self.keypoints is None else self.keypoints[index, None]
        return replace(self, timestamps=self.timestamps[index, None], pixels=pixels, keypoints=keypoints)

    def frames(self, indices: Sequence[int] | NDArray[np.int64], *, height: int, width: int) -> NDArray[np.uint8]:
        """Selected frames at a size: `uint8 [len(indices), height, width, C]`; flow vectors scale with the picture."""
        chosen = np.asarray(indices, dtype=np.int64)
        if self.keypoints is not None:
            scale = np.array([width / self.width, height / self.height, 1.0], np.float32)
            return draw_heatmaps(self.keypoints[chosen].astype(np.float32) * scale, height=height, width=width)
        assert self.pixels is not None
        resized = resize_flow_bytes if VIEWS[self.view].content == "displacements" else resize
        return np.stack([resized(self.pixels[index], height, width) for index in chosen])

    def within(
        self, indices: Sequence[int] | NDArray[np.int64], windows: Sequence[PictureWindow], side_px: int
    ) -> Self:
        """Selected frames, of each the part that its window shows: frames `side_px` × `side_px`.

        Flow vectors scale with the picture, and key points are in pixels of the part; nothing is drawn yet.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        pixels = keypoints = None
        if self.keypoints is not None:
            keypoints = _points_within(self.keypoints[chosen], windows, (self.height, self.width), side_px)
        else:
            assert self.pixels is not None
            resized = resize_flow_bytes if VIEWS[self.view].content == "displacements" else resize
            parts = (window.part_of(self.pixels[index]) for index, window in zip(chosen, windows, strict=True))
            pixels = np.stack([resized(part, side_px, side_px) for part in parts])
        times = self.timestamps[chosen]
        return replace(self, timestamps=times, pixels=pixels, keypoints=keypoints, height=side_px, width=side_px)

    def _check_pixels(self) -> int:
        assert self.pixels is not None
        shape, channels = self.pixels.shape, VIEWS[self.view].channels
        if self.pixels.dtype != np.uint8 or len(shape) != 4 or shape[1:] != (self.height, self.width, channels):
            expected = f"uint8 [F, {self.height}, {self.width}, {channels}]"
            raise ValueError(f"frames are {self.pixels.dtype} {list(shape)}; the view has {expected}")
        return int(shape[0])

    def _check_keypoints(self, keypoints: NDArray[np.float16]) -> int:
        if VIEWS[self.view].content != "key points":
            raise ValueError(f"key points do not belong to view '{self.view}'")
        if keypoints.dtype != np.float16 or keypoints.ndim != 4 or keypoints.shape[2:] != (17, 3):
            raise ValueError(f"key points are {keypoints.dtype} {list(keypoints.shape)}, not float16 [F, P, 17, 3]")
        return int(keypoints.shape[0])


def _points_within(
    points: NDArray[np.float16], windows: Sequence[PictureWindow], shape: tuple[int, int], side_px: int
) -> NDArray[np.float16]:
    """Key points `float16 [F, P, 17, 3]` of frames of a `shape`, in pixels of the parts that their windows show."""
    height, width = shape
    squares = np.array([(window.x * width, window.y * height, window.side) for window in windows]).reshape(-1, 1, 1, 3)
    sides = squares[..., 2:] * min(shape)  # [F, 1, 1, 1]
    moved = (points[..., :2].astype(np.float64) - squares[..., :2]) * (side_px / sides) + side_px / 2
    score = points[..., 2:].astype(np.float64)
    moved = np.where(score > 0, moved, 0.0)  # where nobody was found there stay zeros
    bounded = np.clip(np.concatenate([moved, score], axis=-1), -_FLOAT16_MAX, _FLOAT16_MAX)
    return bounded.astype(np.float16)
