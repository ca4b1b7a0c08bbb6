"""Pictures to bytes and files: one to JPEG or PNG, many to H.264 in MP4, each at its own presentation time."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import Frame

if TYPE_CHECKING:
    import av

__all__ = ["is_film_of_ours", "jpeg", "write_jpeg", "write_mp4", "write_png"]

_CLOCK = Fraction(1, 90_000)
_ASSUMED_RATE = 25
# Without B-frames, and with the index in front: players show frames as they come, browsers while they load.
_ENCODER_OPTIONS = {"preset": "fast", "bf": "0"}
_CONTAINER_OPTIONS = {"movflags": "+faststart"}
_BT709 = 1  # as primaries and as transfer curve
# In the front of every film, so that one of the user's own is never replaced.
_MARK = "drawn by cocon"
_FRONT_BYTES = 16 << 20


def write_mp4(path: Path, frames: Iterable[Frame], *, quality: int = 18) -> None:
    """Encode a video; the last picture is shown as long as the one before it.

    Args:
        path: the file; whatever its ending, it becomes an MP4.
        frames: (presentation time in seconds, RGB `uint8 [H, W, 3]`), at least one, in order of time; all of one size,
            both sides even.
        quality: the encoder's constant rate factor, 0 to 51; the larger, the fewer bytes.

    Raises:
        OSError: the file cannot be written.
    """
    import av
    from av.video.reformatter import Colorspace

    frames = iter(frames)
    first = next(frames)
    ticks, duration = -1, round(1 / _ASSUMED_RATE / _CLOCK)
    with av.open(str(path), "w", format="mp4", options=_CONTAINER_OPTIONS) as container:
        container.metadata["comment"] = _MARK
        stream = _stream(container, *first[1].shape[:2], quality=quality)
        for seconds, pixels in chain([first], frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            picture.pts, picture.time_base = max(round(seconds / _CLOCK), ticks + 1), _CLOCK
            duration = picture.pts - ticks if ticks >= 0 else duration
            ticks = picture.pts
            container.mux(stream.encode(picture))
        for packet in stream.encode(None):
            if packet.pts == ticks:  # the others last until the next one
                packet.duration = duration
            container.mux(packet)


def is_film_of_ours(path: Path) -> bool:
    """Whether a file is there that `write_mp4` has written."""
    try:
        with path.open("rb") as stream:
            return _MARK.encode() in stream.read(_FRONT_BYTES)
    except OSError:
        return False


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Encode a picture.

    Args:
        path: the file; whatever its ending, it becomes a PNG.
        pixels: RGB `uint8 [H, W, 3]`.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_bytes(_encoded(".png", pixels, []))


def jpeg(pixels: NDArray[np.uint8], *, quality: int = 85) -> bytes:
    """Encode a picture with some loss.

    Args:
        pixels: RGB `uint8 [H, W, 3]`.
        quality: 1 to 100; the larger, the more bytes.
    """
    import cv2

    return _encoded(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def write_jpeg(path: Path, pixels: NDArray[np.uint8], *, quality: int = 85) -> None:
    """Encode a picture with some loss into a file; raises as `write_png`, arguments as of `jpeg`."""
    path.write_bytes(jpeg(pixels, quality=quality))


def _encoded(ending: str, pixels: NDArray[np.uint8], options: list[int]) -> bytes:
    import cv2

    _, encoded = cv2.imencode(ending, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()


def _stream(container: "av.container.OutputContainer", height: int, width: int, *, quality: int) -> "av.VideoStream":
    from av.video.reformatter import ColorRange, Colorspace

    stream = container.add_stream("libx264", rate=_ASSUMED_RATE, options=_ENCODER_OPTIONS | {"crf": str(quality)})
    stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
    stream.codec_context.time_base = _CLOCK
    # Where it is not said, players take small pictures for BT.601 and large ones for BT.709.
    stream.codec_context.colorspace, stream.codec_context.color_range = Colorspace.ITU709, ColorRange.MPEG
    stream.codec_context.color_primaries = stream.codec_context.color_trc = _BT709
    return stream
