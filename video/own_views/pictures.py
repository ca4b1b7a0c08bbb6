"""Picture files of a user: frames of a video that was taken apart, their order, their pixels, and their shape."""

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import have_same_shape

__all__ = [
    "gray_frames",
    "last_number",
    "natural_order",
    "numbered_files",
    "other_shape",
    "read_gray",
    "refusing_other_sizes",
]

Pixel = TypeVar("Pixel", bound=np.generic)

_DIGITS = re.compile(r"([0-9]+)")
# More digits than any frame number has; Python refuses to read thousands of them.
_MAX_DIGITS = 18


def natural_order(name: str) -> tuple[tuple[str, int, str], ...]:
    """Sort key by which `frame2` comes before `frame10`, as it does before `frame010`."""
    parts = _DIGITS.split(name)
    numbers = [digits.lstrip("0") for digits in parts[1::2]] + [""]
    return tuple((text, len(digits), digits) for text, digits in zip(parts[::2], numbers, strict=True))


def last_number(name: str) -> int | None:
    """The last run of digits in a file's name, its ending left out: 123 of `video_7_000123.jpg`."""
    file = Path(name)
    runs = _DIGITS.findall(file.name if file.suffix[1:].isdigit() else file.stem)
    return int(runs[-1]) if runs and len(runs[-1]) <= _MAX_DIGITS else None


def numbered_files(folder: Path, endings: Container[str], *, prefix: str = "") -> list[Path]:
    """Files of a folder by natural order of their names; hidden ones are left out.

    Args:
        folder: where they lie, not deeper.
        endings: lower-case, with the dot.
        prefix: that their names begin with.

    Raises:
        MissingViewError: the folder cannot be read.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in endings]
    except OSError as error:
        raise MissingViewError(f"folder '{folder}' cannot be read ({error.strerror})") from error
    named = [path for path in found if path.name.startswith(prefix) and not path.name.startswith(".")]
    return sorted(named, key=lambda path: natural_order(path.name))


def read_gray(path: Path, *, is_deep: bool = False) -> NDArray[Any]:
    """A picture file as brightness `uint8 [H, W]`; colours by their luma, transparency is not looked at.

    Args:
        path: the file.
        is_deep: 16 bits stay 16 bits, `uint16 [H, W]`.

    Raises:
        MissingViewError: it cannot be read or decoded.
    """
    import cv2

    flags = cv2.IMREAD_GRAYSCALE | (cv2.IMREAD_ANYDEPTH if is_deep else 0)
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        pixels = cv2.imdecode(content, flags) if content.size else None
    except (OSError, cv2.error) as error:
        raise MissingViewError(f"picture '{path}' cannot be read ({' '.join(str(error).split())})") from error
    if pixels is None:
        raise MissingViewError(f"picture '{path}' cannot be decoded")
    gray: NDArray[Any] = pixels
    return gray


def gray_frames(path: Path, limits: MediaLimits, *, is_deep: bool = False) -> Iterator[NDArray[Any]]:
    """Frames `[H, W]` of a folder of PNG files in the order of their names, see `read_gray`, or of a video."""
    import cv2

    if path.is_dir():
        return (read_gray(file, is_deep=is_deep) for file in numbered_files(path, {".png"}))
    return (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for _, pixels in read_frames(path, limits))


def refusing_other_sizes(pictures: Iterator[NDArray[Pixel]], named: str) -> Iterator[NDArray[Pixel]]:
    """The same pictures `[H, W]`; taking one that has not the size of the first raises `MissingViewError`.

    Args:
        pictures: one per frame.
        named: what the message calls a picture, before the number of its frame.
    """
    first: tuple[int, ...] | None = None
    for index, picture in enumerate(pictures):
        first = first or picture.shape
        if picture.shape != first:
            sizes = f"{picture.shape[1]} × {picture.shape[0]}, the first {first[1]} × {first[0]}"
            raise MissingViewError(f"{named} {index} is {sizes}; they must be alike")
        yield picture


def other_shape(height: int, width: int, video_height: int, video_width: int) -> str | None:
    """Both sizes in words if pictures have not the video's ratio of width to height; None if they have.

    Pictures of another shape belong to another video, or lie on their side.

    Args:
        height: of the pictures, in any unit.
        width: likewise.
        video_height: of the video's frames.
        video_width: likewise.
    """
    if have_same_shape(height, width, video_height, video_width):
        return None
    return f"{width} × {height}, the video is {video_width} × {video_height}: another shape"
