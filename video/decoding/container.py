"""A user's file, opened: that file alone, and the one stream in it that is the video.

    with open_video(Path("video.mp4")) as (container, stream): ...

FFmpeg takes names for addresses and follows references. Here a name is always a file, no other protocol is allowed, and
only formats are read that hold everything themselves: a playlist or a script that is called `.mp4` is refused.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cocon.core.errors import NoVideoStreamError, UnreadableVideoError
from cocon.video.decoding.display import display_shape

if TYPE_CHECKING:
    import av

    OpenedVideo: TypeAlias = tuple[av.container.InputContainer, av.VideoStream]

__all__ = ["Header", "open_video", "read_header", "reason"]

# FFmpeg's names of the formats that hold everything themselves. Left out is whatever names other files or addresses
# (hls, dash, concat, sdp, vobsub, mlv, imf, rtsp), makes pictures of text (tty), or captures from devices.
_VIDEO_FORMATS = (
    "3dostr 4xm amv apng av1 avi bethsoftvid bink cavsvideo dhav dirac dnxhd dv evc film_cpk flic flv gif gxf h261 h263"
    " h264 hevc idcin ifv ipu ivf kux live_flv lvf lxf m4v matroska,webm mgsts mjpeg mov,mp4,m4a,3gp,3g2,mj2 mpeg"
    " mpegts mpegvideo mpjpeg mtv mv mxf nsv nut nuv obu ogg pmp pva r3d rl2 rm roq rpl smk swf thp tmv ty usm vc1"
    " vc1test vivo vvc wtv xmv yop yuv4mpegpipe asf"
)
_PICTURE_FORMATS = "image2 bmp_pipe jpeg_pipe jpegxl_pipe png_pipe tiff_pipe webp_pipe"
_SOUND_FORMATS = "aac ac3 aiff amr ape au caf dts dsf eac3 flac mp3 tta w64 wav wv"
_OPTIONS = {
    "protocol_whitelist": "file",
    "pattern_type": "none",  # image2: a picture, and not those with numbers in place of the `%d` of its name
    "format_whitelist": ",".join((*_VIDEO_FORMATS.split(), *_PICTURE_FORMATS.split(), *_SOUND_FORMATS.split())),
}
_NOT_ALLOWED = "Format not on whitelist"
# Not every writer of Matroska says that a cover is one.
_CODECS_OF_STILLS = frozenset(("bmp", "jpegxl", "mjpeg", "png", "tiff", "webp"))
_DEFAULT_COUNTS = 5
# What these call a duration is an end: it counts from zero, also where the pictures begin later.
_SAYING_ENDS = frozenset(("asf", "matroska,webm", "nut"))
# Here FFmpeg takes the last time less the first, which of joined streams says nothing.
_SAYING_NOTHING = frozenset(("mpeg", "mpegts"))


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its video stream before anything is decoded.

    Attributes:
        stored_shape: height and width of the pictures as stored.
        display_shape: the same with square pixels, before the pictures are turned.
        duration_seconds: of the video stream; None where the file does not say.
        sample_aspect_ratio: width of a stored pixel by its height; None where the file does not say.
        frames_per_second: on average; None where the file does not say.
    """

    stored_shape: tuple[int, int]
    display_shape: tuple[int, int]
    duration_seconds: float | None
    sample_aspect_ratio: Fraction | None
    frames_per_second: float | None = None


@contextmanager
def open_video(path: Path) -> Iterator["OpenedVideo"]:
    """Open a file and find its video stream (0.4 ms).

    The stream is, as with the `ffmpeg` command, the one of the largest pictures, where those of a stream marked as the
    default count more: a preview is not the video, and nor is another angle. Pictures attached to the file, such as
    covers and thumbnails, are never taken, and those of a codec for stills only where there is no other.

    Raises:
        UnreadableVideoError: it is no media file, its format refers to other files, or its codec is not known.
        NoVideoStreamError: it holds no pictures but attached ones.
    """
    import av

    _hear_decoders()
    _take_unnamed_side_data()
    try:
        # An absolute path behind `file:` is a file whatever else is in it: colons, percent signs, `concat:`.
        container = av.open(f"file:{os.path.abspath(path)}", container_options=_OPTIONS)  # noqa: PTH100  # as named
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideoError(f"video '{path}' cannot be decoded: {_why_closed(error)}") from error
    with container:
        yield container, _video_stream(path, container)


def read_header(path: Path) -> Header:
    """What `open_video` knows of a file before anything is decoded.

    Raises:
        UnreadableVideoError: as `open_video`.
        NoVideoStreamError: likewise.
    """
    with open_video(path) as (container, stream):
        stored = (stream.height or 0, stream.width or 0)
        shape = display_shape(*stored, stream.sample_aspect_ratio)
        rate = float(stream.average_rate) if stream.average_rate else None
        return Header(stored, shape, _declared_seconds(container, stream), stream.sample_aspect_ratio, rate)


def reason(error: Exception) -> str:
    """What FFmpeg said, without its error number and the path that the message has already."""
    return getattr(error, "strerror", None) or str(error)


@cache
def _take_unnamed_side_data() -> None:
    """Let frames have side data that PyAV has no name for, such as EXIF; it refuses all of a frame's otherwise."""
    from av.sidedata.sidedata import Type

    def unnamed(kinds: type[Type], number: int) -> Type:
        kind = object.__new__(kinds)
        kind._name_ = f"UNNAMED_{number}"
        kind._value_ = number  # type: ignore[assignment]
        return kind

    Type._missing_ = classmethod(unnamed)  # type: ignore[assignment,method-assign]


@cache
def _hear_decoders() -> None:
    """Let FFmpeg's errors reach whoever captures them, and nobody else."""
    import av

    logger = logging.getLogger("libav")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    av.logging.set_level(av.logging.ERROR)


def _why_closed(error: Exception) -> str:
    said = getattr(error, "log", None) or (0, "", "")  # level, who said it, what
    if _NOT_ALLOWED in said[2]:
        return f"its format '{said[1]}' is none that holds a whole video; name the video itself"
    return reason(error)


def _video_stream(path: Path, container: "av.container.InputContainer") -> "av.VideoStream":
    films = [stream for stream in container.streams.video if not _is_attached(container, stream)]
    if not films:
        with_cover = ", only an attached picture" if container.streams.video else ""
        raise NoVideoStreamError(f"'{path}' has no video stream{with_cover}")
    best = max(films, key=_rank)
    if best.codec_context is None:
        raise UnreadableVideoError(f"video '{path}' cannot be decoded: its codec is not known")
    return best


def _is_attached(container: "av.container.InputContainer", stream: "av.VideoStream") -> bool:
    kinds = type(stream.disposition)
    if stream.disposition & (kinds.attached_pic | kinds.timed_thumbnails):
        return True
    # A single still beside sound is a cover, whoever wrote it without saying so.
    codec, seconds = stream.codec_context, _said_seconds(container, stream)
    if codec is None or codec.name not in _CODECS_OF_STILLS or not container.streams.audio:
        return False
    return stream.frames == 1 or (seconds is not None and seconds * float(stream.average_rate or 1) < 1.5)


def _rank(stream: "av.VideoStream") -> tuple[int, int, int]:
    """The larger the better; a codec that is not known is worse than any, and of equals a still is (AVIF has both)."""
    codec = stream.codec_context
    if codec is None:
        return -1, 0, 0
    is_default = bool(stream.disposition & type(stream.disposition).default)
    size = codec.width * codec.height * (_DEFAULT_COUNTS if is_default else 1)
    return int(codec.name not in _CODECS_OF_STILLS), size, stream.frames


def _declared_seconds(container: "av.container.InputContainer", stream: "av.VideoStream") -> float | None:
    """The stream's own duration; the container's only where no other stream can be the longer one."""
    if container.format.name in _SAYING_NOTHING:
        return None
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return stream.frames / float(stream.average_rate)  # FFmpeg shortens the duration of a file that was cut
    seconds = _said_seconds(container, stream)
    if seconds is None or container.format.name not in _SAYING_ENDS:
        return seconds
    # A video that begins late is shorter than it ends, and not every file says when it begins.
    if stream.start_time is None or stream.time_base is None:
        return None
    return seconds - max(0.0, float(stream.start_time * stream.time_base))


def _said_seconds(container: "av.container.InputContainer", stream: "av.VideoStream") -> float | None:
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # 00:00:04.000000000
        try:
            hours, minutes, seconds = tag.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return None
    return container.duration / 1e6 if container.duration and len(container.streams) == 1 else None
