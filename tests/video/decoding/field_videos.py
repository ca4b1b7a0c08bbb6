"""Videos that carry the number of each picture in the picture: twelve fields, black or white, are its binary digits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["CODECS", "CONTAINERS", "NUM_FRAMES", "RATE", "Coding", "number_in", "numbered_picture", "write_fields"]

RATE = 25
NUM_FRAMES = 36
_ROWS, _COLUMNS = 3, 4
_BLACK, _WHITE = 20, 235

CONTAINERS = {
    "mp4": "mp4",
    "mov": "mov",
    "3gp": "3gp",
    "mkv": "matroska",
    "webm": "webm",
    "avi": "avi",
    "ts": "mpegts",
    "mpg": "mpeg",
    "vob": "vob",
    "flv": "flv",
    "wmv": "asf",
    "mxf": "mxf",
    "ogv": "ogg",
    "gif": "gif",
    "nut": "nut",
    "dv": "dv",
    "ivf": "ivf",
    "obu": "obu",
    "h264": "h264",
    "hevc": "hevc",
    "m2v": "mpeg2video",
    "m4v": "m4v",
}
"""Ending of the file: FFmpeg's muxer."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How pictures are coded.

    Attributes:
        pixel_format: that the encoder takes.
        options: of the encoder, which make it quick.
        reorders: whether it can have B-frames.
        shape: height and width that it needs, where not any will do.
    """

    pixel_format: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    reorders: bool = False
    shape: tuple[int, int] = (48, 64)


_QUICK_VPX = {"deadline": "realtime", "cpu-used": "8"}
CODECS = {
    "libx264": Coding(options={"preset": "ultrafast", "crf": "18"}, reorders=True),
    "libx265": Coding(options={"preset": "ultrafast"}, reorders=True),
    "mpeg2video": Coding(reorders=True),
    "mpeg4": Coding(reorders=True),
    "libvpx": Coding(options=_QUICK_VPX),
    "libvpx-vp9": Coding(options=_QUICK_VPX),
    "libsvtav1": Coding(options={"preset": "12", "svtav1-params": "lp=1"}, shape=(64, 96)),
    "prores": Coding("yuv422p10le"),
    "mjpeg": Coding("yuvj420p"),
    "dvvideo": Coding(shape=(576, 720)),
    "wmv2": Coding(),
    "flv1": Coding(),
    "ffv1": Coding(),
    "gif": Coding("rgb8"),
}


def numbered_picture(number: int, height: int, width: int) -> NDArray[np.uint8]:
    """The picture `uint8 [height, width, 3]` of a number below 4096."""
    digits = np.array([number >> place & 1 for place in range(_ROWS * _COLUMNS)]).reshape(_ROWS, _COLUMNS)
    rows, columns = np.arange(height) * _ROWS // height, np.arange(width) * _COLUMNS // width
    gray = np.where(digits, _WHITE, _BLACK)[rows[:, None], columns[None, :]].astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def number_in(pixels: NDArray[np.uint8]) -> int:
    """The number that a decoded picture shows."""
    height, width = pixels.shape[:2]
    number = 0
    for place in range(_ROWS * _COLUMNS):
        row, column = divmod(place, _COLUMNS)
        middle = pixels[
            height * (4 * row + 1) // (4 * _ROWS) : height * (4 * row + 3) // (4 * _ROWS),
            width * (4 * column + 1) // (4 * _COLUMNS) : width * (4 * column + 3) // (4 * _COLUMNS),
        ]
        number |= int(middle.mean() > (_BLACK + _WHITE) / 2) << place
    return number


def write_fields(
    path: Path,
    codec: str,
    *,
    start_frames: int = 0,
    num_b_frames: int = 0,
    group_size: int = 12,
    rate: Fraction = Fraction(RATE),  # immutable
    options_of_file: Mapping[str, str] = MappingProxyType({}),
    **options: str,
) -> Path:
    """Write `NUM_FRAMES` numbered pictures into the container that the file's ending names.

    Args:
        path: the file.
        codec: FFmpeg's encoder.
        start_frames: presentation time of the first picture, in frames.
        num_b_frames: in a row, where the codec can reorder pictures.
        group_size: pictures from one key frame to the next.
        rate: pictures per second.
        options_of_file: of the container's writer.
        options: more of the encoder's.

    Raises:
        av.FFmpegError: the container does not take the codec.
    """
    coding = CODECS[codec]
    settings = {**coding.options, "g": str(group_size), **options}
    if codec == "libx265":
        settings["x265-params"] = f"log-level=none:pools=1:bframes={num_b_frames}:keyint={group_size}"
    elif coding.reorders:
        settings["bf"] = str(num_b_frames)
    height, width = coding.shape
    with av.open(
        str(path), "w", format=CONTAINERS[path.suffix[1:]], options={"fflags": "+bitexact", **options_of_file}
    ) as output:
        stream = output.add_stream(codec, rate=rate, options=settings)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = height, width, coding.pixel_format
        stream.codec_context.thread_count = 1
        for number in range(NUM_FRAMES):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, height, width), format="rgb24")
            frame.pts, frame.time_base = start_frames + number, 1 / rate
            output.mux(stream.encode(frame.reformat(format=coding.pixel_format)))
        output.mux(stream.encode(None))
    return path
