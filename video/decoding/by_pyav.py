"""Frames by PyAV, which reads almost everything and goes on behind damaged packets."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import NoVideoStreamError, UnreadableVideoError

if TYPE_CHECKING:
    import av

    _Packet = av.Packet[av.VideoStream]

__all__ = ["Header", "pyav_frames", "read_header"]

_ASSUMED_RATE = 25.0
# A pause beyond what the header declares is believed up to here; one damaged time must not become hours of stills.
_MAX_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its first video stream before anything is decoded.

    Attributes:
        height: of the pictures as stored, before display rotation.
        width: likewise.
        duration_seconds: of the video stream; None where the file does not say.
    """

    height: int
    width: int
    duration_seconds: float | None


def read_header(path: Path) -> Header:
    """Open a file without decoding it (0.4 ms).

    Raises:
        UnreadableVideoError: it is no media file.
        NoVideoStreamError: it holds no pictures.
    """
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise NoVideoStreamError(f"'{path}' has no video stream")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise UnreadableVideoError(f"video '{path}' cannot be decoded: its codec is not known")
            return Header(stream.height or 0, stream.width or 0, _declared_seconds(container, stream))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideoError(f"video '{path}' cannot be decoded: {_reason(error)}") from error


def pyav_frames(path: Path, damaged: list[str]) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decode a video, upright: (presentation time in seconds after the first frame, RGB `uint8 [H, W, 3]`).

    Args:
        path: the file.
        damaged: takes one line for every packet that does not decode; reading goes on behind it.
    """
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1  # with frame threads, a damaged packet takes sound neighbours with it
        rate = float(stream.average_rate or stream.guessed_rate or _ASSUMED_RATE)
        clock = _Clock(rate, _declared_seconds(container, stream) or 0.0, damaged)
        for frame in _decoded(container, stream, damaged):
            seconds = clock.seconds_of(frame)
            try:
                pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
            except (av.FFmpegError, ValueError) as error:
                damaged.append(_reason(error))
                continue
            yield seconds, _upright(pixels, frame.rotation)


@dataclass(slots=True)
class _Clock:
    """Times of frames in presentation order, increasing whatever the container says.

    Some containers (AVI) have no presentation times; what the demuxer makes up for reordered frames then goes back and
    forth, while the decoding times increase. As soon as presentation times have gone back more often, decoding times
    are taken; a frame without a later time by either comes one frame interval after the one before. So does one that
    would come after a long pause and behind the end that the header declares.
    """

    rate: float
    declared_seconds: float
    damaged: list[str]
    _first: float | None = None
    _previous: float = -math.inf
    _last_of: dict[str, float] = field(default_factory=lambda: {"pts": -math.inf, "dts": -math.inf})
    _num_faults: dict[str, int] = field(default_factory=lambda: {"pts": 0, "dts": 0})

    def seconds_of(self, frame: "av.VideoFrame") -> float:
        """Seconds after the first frame."""
        times: dict[str, float] = {}
        for kind, ticks in (("pts", frame.pts), ("dts", frame.dts)):
            seconds = -math.inf if ticks is None or not frame.time_base else float(ticks * frame.time_base)
            self._num_faults[kind] += seconds <= self._last_of[kind]
            self._last_of[kind] = seconds
            times[kind] = seconds
        seconds = times["pts" if self._num_faults["pts"] <= self._num_faults["dts"] else "dts"]
        if not seconds > self._previous:
            seconds = 0.0 if self._first is None else self._previous + 1 / self.rate
        elif self._first is not None and seconds > max(
            self._previous + _MAX_PAUSE_S, self._first + self.declared_seconds + 1 / self.rate
        ):
            self.damaged.append(f"a frame claims to come {seconds - self._previous:.6g} s after the one before")
            seconds = self._previous + 1 / self.rate
        self._first = seconds if self._first is None else self._first
        self._previous = seconds
        return seconds - self._first


def _decoded(
    container: "av.container.InputContainer", stream: "av.VideoStream", damaged: list[str]
) -> Iterator["av.VideoFrame"]:
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError, ValueError) as error:
            damaged.append(_reason(error))
            break
        yield from _frames_of(stream, packet, damaged)
    yield from _frames_of(stream, None, damaged)  # what the decoder still holds


def _frames_of(stream: "av.VideoStream", packet: "_Packet | None", damaged: list[str]) -> Iterator["av.VideoFrame"]:
    import av

    try:
        yield from stream.codec_context.decode(packet)
    except (av.FFmpegError, OSError, ValueError) as error:
        damaged.append(_reason(error))


def _declared_seconds(container: "av.container.InputContainer", stream: "av.VideoStream") -> float | None:
    """The stream's own duration; the container's only where no other stream can be the longer one."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return stream.frames / float(stream.average_rate)  # FFmpeg shortens the duration of a file that was cut
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    # What Matroska calls a duration is an end: it counts from zero, also where the pictures begin later.
    start_seconds = max(0.0, float((stream.start_time or 0) * (stream.time_base or 0)))
    if tag := stream.metadata.get("DURATION"):  # 00:00:04.000000000
        try:
            hours, minutes, seconds = tag.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - start_seconds
        except ValueError:
            return None
    if container.duration and len(container.streams) == 1:
        return container.duration / 1e6 - ("matroska" in container.format.name) * start_seconds
    return None


def _reason(error: Exception) -> str:
    """What FFmpeg said, without its error number and the path that the message has already."""
    return getattr(error, "strerror", None) or str(error)


def _upright(pixels: NDArray[np.uint8], rotation_degrees: int) -> NDArray[np.uint8]:
    """Undo the display rotation, counter-clockwise in degrees, that PyAV reports beside the raw frame."""
    quarter_turns = round(rotation_degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels
