"""A user's own depth: how far away what a pixel shows is.

| what | layout |
|---|---|
| folder of PNG files | 8 or 16 bits of gray, one per frame in the natural order of their names |
| `.npy`, `.npz` | `uint8`, `uint16` or floating point [F, H, W] or [F, H, W, 1] |
| video | gray, 8 bits |

A range of near and far, in the unit of the files, says what the bytes 0 and 255 stand for; what lies beyond is clipped.
A value that is no number, as where a sensor measured nothing, counts as 0. Without a range 8 bits stay as they are.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import resize, resized_shape
from cocon.video.own_views.arrays import ArrayFile
from cocon.video.own_views.pictures import gray_frames, other_shape, refusing_other_sizes
from cocon.video.own_views.source import OwnSource, OwnVideo, OwnView
from cocon.video.store.stored_view import Attributes

__all__ = ["WHOLE_BYTE", "user_depth"]

# What is recorded where no range is given.
WHOLE_BYTE: Attributes = {"depth_near": 0.0, "depth_far": 255.0}

_SIZE_PX = 128
_ARRAYS = frozenset((".npy", ".npz"))

_Map = NDArray[Any]  # [H, W]


def user_depth(source: OwnSource, video: OwnVideo) -> OwnView:
    """Read a video's depth, one map at a time; `depth_near` and `depth_far` may be said of it.

    Returns:
        Bytes `uint8 [F, h, w, 1]`; a short side above 128 pixels is reduced to that.

    Raises:
        MissingViewError: not one map per frame, of different sizes, of another shape than the video, unreadable, or
            more than 8 bits without a range.
        VideoError: the video of depth cannot be decoded.
    """
    path, said = source.path, source.said
    near_far = (float(said["depth_near"]), float(said["depth_far"])) if said else None
    with ExitStack() as files:
        maps = refusing_other_sizes(_maps(path, files, video.limits), f"depth '{path}': frame")
        first = next(maps, None)
        if first is None:
            raise MissingViewError(f"depth '{path}': there are no frames; a folder must have PNG files")
        if problem := other_shape(first.shape[0], first.shape[1], video.height, video.width):
            raise MissingViewError(f"depth '{path}' is {problem}")
        size = resized_shape(first.shape[0], first.shape[1], min(_SIZE_PX, *first.shape))
        depth = np.zeros((video.num_frames, *size, 1), np.uint8)
        num_maps = 0
        for num_maps, depth_map in enumerate(chain([first], maps), start=1):
            video.on_frame()
            if num_maps <= video.num_frames:
                depth[num_maps - 1] = resize(_as_bytes(path, depth_map, near_far)[..., None], *size)
    if num_maps != video.num_frames:
        counts = f"{num_maps} frames, the video {video.num_frames}"
        raise MissingViewError(f"depth '{path}' has {counts}; it needs as many")
    return OwnView.of_frames(depth)


def _maps(path: Path, files: ExitStack, limits: MediaLimits) -> Iterator[_Map]:
    if path.is_dir() or path.suffix.lower() not in _ARRAYS:
        return gray_frames(path, limits, is_deep=True)
    array = ArrayFile.open(path, ("depth", "frame"), files)
    shape, is_known = array.shape, array.dtype.kind == "f" or array.dtype in (np.uint8, np.uint16)
    if not is_known or len(shape) not in (3, 4) or shape[3:] not in ((), (1,)) or min(shape[1:]) < 1:
        expected = "uint8, uint16 or floating point [F, H, W]"
        raise MissingViewError(f"depth '{path}' is {array.dtype} {list(shape)}, not {expected}")
    limits.check(path, "max_pixels", shape[1] * shape[2], "pixels per frame")
    return (row.reshape(shape[1:3]) for row in array.rows())


def _as_bytes(path: Path, depth_map: _Map, near_far: tuple[float, float] | None) -> NDArray[np.uint8]:
    if near_far is None:
        if depth_map.dtype != np.uint8:
            remedy = "say which values 0 and 255 stand for: --depth-range NEAR FAR"
            raise MissingViewError(f"depth '{path}' is {depth_map.dtype}, which is more than a byte; {remedy}")
        return depth_map
    near, far = near_far
    shares = (np.nan_to_num(depth_map.astype(np.float64), nan=0.0) - near) / (far - near)
    return np.rint(shares.clip(0, 1) * 255).astype(np.uint8)
