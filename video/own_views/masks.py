"""A user's own person masks: a video, or a folder of PNG files, one per frame."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.geometry import resize, resized_shape
from cocon.video.own_views.pictures import gray_frames, other_shape, refusing_other_sizes
from cocon.video.own_views.source import OwnSource, OwnVideo, OwnView

__all__ = ["user_masks"]

_SIZE_PX = 128
_IS_PERSON = 128
# A few grey values, all of them dark, are numbers of things and not probabilities.
_MAX_LABELS, _MAX_LABEL = 32, 127
# In place of a frame's only grey value, where it has several.
_SEVERAL = -1


def user_masks(source: OwnSource, video: OwnVideo) -> OwnView:
    """Read a video's masks: a video file, or a folder of PNG files that are frames in the natural order of their names.

    Brightness is the probability of a person, 255 being 1. Where all frames together have one value besides 0 (1, 255,
    or the brightness of one colour), it means a person for sure.

    Returns:
        Person probability × 255 `uint8 [F, h, w, 1]`; a short side above 128 pixels is reduced to that.

    Raises:
        MissingViewError: not one mask per frame, of different sizes, of another shape than the video, unreadable, or
            numbers of several things.
        VideoError: the video of masks cannot be decoded.
    """
    path = source.path
    pictures = refusing_other_sizes(gray_frames(path, video.limits), f"masks '{path}': the mask of frame")
    first = next(pictures, None)
    if first is None:
        raise MissingViewError(f"masks '{path}': the folder has no PNG files")
    if problem := other_shape(first.shape[0], first.shape[1], video.height, video.width):
        raise MissingViewError(f"masks '{path}' are {problem}")
    masks = _on_one_scale(*_collected(path, first, pictures, video))
    return OwnView.of_frames(masks, int((masks >= _IS_PERSON).any(axis=(1, 2, 3)).sum()))


def _collected(
    path: Path, first: NDArray[np.uint8], later: Iterator[NDArray[np.uint8]], video: OwnVideo
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Masks `uint8 [F, h, w, 1]` and the only value besides 0 that each had, as `_kept` gives them."""
    height, width = resized_shape(first.shape[0], first.shape[1], min(_SIZE_PX, *first.shape))
    masks = np.zeros((video.num_frames, height, width, 1), np.uint8)
    values = np.zeros(video.num_frames, np.int16)
    seen = np.zeros(256, np.bool_)
    num_masks = 0
    for num_masks, picture in enumerate(chain([first], later), start=1):
        video.on_frame()
        if num_masks <= video.num_frames:
            seen |= np.bincount(picture.ravel(), minlength=256) > 0
            masks[num_masks - 1], values[num_masks - 1] = _kept(picture, height, width)
    if num_masks != video.num_frames:
        counts = f"{num_masks}, the video has {video.num_frames} frames"
        raise MissingViewError(f"masks '{path}' are {counts}; it needs as many")
    if path.is_dir():
        _check_no_labels(path, seen)
    return masks, values


def _kept(picture: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.uint8], int]:
    """A mask `uint8 [h, w, 1]` and its only value besides 0; that value is drawn as 255, so that none is lost."""
    value = int(picture.max())
    if not np.isin(picture, (0, value)).all():
        return resize(picture[..., None], height, width), _SEVERAL
    return resize(np.where(picture > 0, np.uint8(255), np.uint8(0))[..., None], height, width), value


def _check_no_labels(path: Path, seen: NDArray[np.bool_]) -> None:
    values = np.flatnonzero(seen)
    if 2 <= np.count_nonzero(values) <= _MAX_LABELS and values[-1] <= _MAX_LABEL:
        named = ", ".join(map(str, values[:4]))
        raise MissingViewError(f"masks '{path}' have values {named}, ...: labels; write people as 255, the rest as 0")


def _on_one_scale(masks: NDArray[np.uint8], values: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Give frames of one value that value back, in place, if other frames have others."""
    if len(set(values.tolist()) - {0}) > 1:
        for frame in np.flatnonzero(values > 0):
            masks[frame] = np.rint(masks[frame] * (values[frame] / 255))
    return masks
