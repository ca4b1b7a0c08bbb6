"""A user's own flow: arrays of displacements, or picture files of their x and y parts.

| what | layout |
|---|---|
| `.npy`, `.npz` | floating point [F, H, W, 2], displacement (x, y) in pixels of an H × W frame |
| folder | `flow_x_00001.jpg`, `flow_y_00001.jpg`, ..., as dense_flow and MMAction2 write them |
| folder | `u/frame000001.jpg`, `v/frame000001.jpg`, ... |

A byte b of a picture is -20 + b·40/255 pixels. Files may be JPEG or PNG and begin with any number.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import flow_to_bytes
from cocon.video.geometry import resized_shape
from cocon.video.own_views.arrays import ArrayFile
from cocon.video.own_views.pictures import last_number, numbered_files, other_shape, read_gray
from cocon.video.own_views.source import OwnSource, OwnVideo, OwnView

__all__ = ["user_flow"]

_PICTURES = frozenset({".jpg", ".jpeg", ".png"})
_PICTURE_BOUND_PX = 20.0
# Where the x and y parts of a folder lie: (sub-folder, beginning of the name) of each.
_LAYOUTS = (((".", "flow_x_"), (".", "flow_y_")), (("u", ""), ("v", "")))

_Field = NDArray[np.float32]


def user_flow(source: OwnSource, video: OwnVideo) -> OwnView:
    """Read a video's flow, one field at a time.

    F - 1 fields will do, since the last frame has no later one: the last is repeated. The limit `max_pixels` holds for
    every field, and vectors scale with the picture.

    Returns:
        Bytes `uint8 [F, h, w, 2]`, see `cocon.video.estimation.flow`, min(h, w) = `video.flow_size_px`.

    Raises:
        MissingViewError: another number or shape than the video's, values that are not finite, or unknown files.
        TooLargeError: a field has more pixels than any picture may have.
    """
    path = source.path
    with ExitStack() as files:
        num_fields, fields = _from_folder(path) if path.is_dir() else _from_array(path, files, video.limits)
        first = _first_field(path, num_fields, fields, video.num_frames)
        if problem := other_shape(first.shape[0], first.shape[1], video.height, video.width):
            raise MissingViewError(f"flow '{path}' has fields that are {problem}")
        size = resized_shape(first.shape[0], first.shape[1], video.flow_size_px)
        flow = np.zeros((video.num_frames, *size, 2), np.uint8)
        for index, field in enumerate(chain([first], fields)):
            video.on_frame()
            _check_field(path, index, field, first)
            flow[index] = _resized_bytes(field, *size)
    flow[num_fields:] = flow[num_fields - 1]
    return OwnView.of_frames(flow)


def _first_field(path: Path, num_fields: int, fields: Iterator[_Field], num_frames: int) -> _Field:
    if num_fields == 0 or num_fields not in (num_frames, num_frames - 1):
        counts = f"{num_fields} fields, the video {num_frames} frames"
        raise MissingViewError(f"flow '{path}' has {counts}; it needs as many, or one less")
    return next(fields)


def _check_field(path: Path, index: int, field: _Field, first: _Field) -> None:
    if field.shape != first.shape:
        raise MissingViewError(f"flow '{path}': field {index} has another size than the first")
    if not np.isfinite(field).all():
        raise MissingViewError(f"flow '{path}': field {index} has values that are not finite")


def _resized_bytes(field: _Field, height: int, width: int) -> NDArray[np.uint8]:
    """Scaled before it becomes bytes: what is too fast for a byte at the full size need not be at this one."""
    import cv2

    method = cv2.INTER_AREA if height < field.shape[0] else cv2.INTER_LINEAR
    scale = np.array([width / field.shape[1], height / field.shape[0]], np.float32)
    return flow_to_bytes(cv2.resize(field, (width, height), interpolation=method) * scale)


def _from_array(path: Path, files: ExitStack, limits: MediaLimits) -> tuple[int, Iterator[_Field]]:
    array = ArrayFile.open(path, ("flow", "field"), files)
    shape = array.shape
    if array.dtype.kind != "f" or len(shape) != 4 or shape[3] != 2 or min(shape[1:]) < 1:
        raise MissingViewError(f"flow '{path}' is {array.dtype} {list(shape)}, not floating point [F, H, W, 2]")
    limits.check(path, "max_pixels", shape[1] * shape[2], "pixels per field")
    return shape[0], map(_as_float32, array.rows())


def _as_float32(row: NDArray[Any]) -> _Field:
    with np.errstate(over="ignore"):  # what float32 does not hold is infinite, and refused
        return row.astype(np.float32)


def _from_folder(folder: Path) -> tuple[int, Iterator[_Field]]:
    for layout in _LAYOUTS:
        x_files, y_files = (
            numbered_files(folder / place, _PICTURES, prefix=prefix) if (folder / place).is_dir() else []
            for place, prefix in layout
        )
        if x_files or y_files:
            break
    else:
        raise MissingViewError(f"flow '{folder}' has neither flow_x_*.jpg and flow_y_*.jpg nor folders u and v")
    x_numbers, y_numbers = ([last_number(path.name) for path in files] for files in (x_files, y_files))
    if x_numbers != y_numbers:
        raise MissingViewError(f"flow '{folder}': {len(x_files)} x and {len(y_files)} y pictures do not pair by number")
    for earlier, later in pairwise(x_numbers):
        if earlier is None or later != earlier + 1:
            raise MissingViewError(f"flow '{folder}': a picture is missing between number {earlier} and {later}")
    return len(x_files), map(_pictured_field, x_files, y_files)


def _pictured_field(x_path: Path, y_path: Path) -> _Field:
    parts = read_gray(x_path), read_gray(y_path)
    if parts[0].shape != parts[1].shape:
        raise MissingViewError(f"flow picture '{y_path}' has another size than '{x_path}'")
    scale = np.float32(2 * _PICTURE_BOUND_PX / 255)
    return np.stack(parts, axis=-1).astype(np.float32) * scale - np.float32(_PICTURE_BOUND_PX)
