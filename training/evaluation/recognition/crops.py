"""Crops of a clip for testing: the centre, the four corners, and both mirrored."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cocon.training.data.augment import centred_clip, mirrored, whole_frames
from cocon.training.data.frames import DecodedView
from cocon.video.geometry import centre_crop

__all__ = ["CROPS", "cropped_clips"]

# Centre; centre and corners; all five and their mirror images (Krizhevsky et al., NIPS 2012, section 4.1).
CROPS = (1, 5, 10)


def cropped_clips(
    video: DecodedView, view: str, indices: NDArray[np.int64], size_px: int, *, num_crops: int
) -> Iterator[NDArray[np.uint8]]:
    """The same frames in each crop: centre, top left, top right, bottom left, bottom right; of ten, each also mirrored.

    Args:
        video: the decoded view.
        view: its name.
        indices: frames, `int64 [N, T]`.
        size_px: H = W of a crop.
        num_crops: one of `CROPS`.

    Yields:
        `uint8 [N, T, H, W, C]`.

    Raises:
        ValueError: another number of crops.
    """
    if num_crops not in CROPS:
        raise ValueError(f"num_crops ({num_crops}) must be one of {CROPS}")
    if num_crops == 1:
        yield centred_clip(video, indices, size_px)
        return
    frames = whole_frames(video, indices)  # [N, T, H, W, C]
    top, left, bottom, right = slice(0, size_px), slice(0, size_px), slice(-size_px, None), slice(-size_px, None)
    corners = [frames[..., rows, columns, :] for rows in (top, bottom) for columns in (left, right)]
    for crop in [centre_crop(frames, size_px), *corners]:
        yield np.ascontiguousarray(crop)
        if num_crops == 10:
            yield mirrored(crop, view)
