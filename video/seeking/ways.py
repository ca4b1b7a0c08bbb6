"""Three ways to the frames of a moment: by the file's index, past its packets, or in one pass.

Each is a function of a `Reading` and a moment in seconds after the first frame, which gives (seconds, frame) from some
frame on that is not later than the moment. Those that pass over something raise `UnsureError` where one pass might give
other frames or other times, before they give any frame that is later.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cocon.video.decoding.clock import Clock
from cocon.video.decoding.packets import decoded_frames, frames_of_packet, sound_packets

if TYPE_CHECKING:
    import av

    from cocon.video.decoding.packets import VideoPacket

    Packets: TypeAlias = Iterator[VideoPacket | None]
    TimedFrames: TypeAlias = Iterator[tuple[float, av.VideoFrame]]

__all__ = ["NEAR_SECONDS", "Reading", "UnsureError", "by_index", "in_one_pass", "past_packets"]

# An earlier moment is found faster by decoding.
NEAR_SECONDS = 1.0
# Formats whose index says where key frames are; FFmpeg's names.
_MATROSKA = "matroska,webm"
_INDEXED = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", _MATROSKA))
_SEGMENT = b"\x18\x53\x80\x67"  # what holds all of a Matroska file behind its header (RFC 9559)
_HEADER_BYTES = 4096
# What a packet marked as a key frame of these begins needs nothing before it.
_KEYED_CODECS = frozenset(
    (
        *("h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "theora"),
        *("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "msmpeg4v1", "msmpeg4v2", "wmv1", "wmv2", "wmv3", "vc1"),
        *("h263", "flv", "mjpeg", "prores", "dnxhd", "ffv1", "huffyuv", "ffvhuff", "dvvideo", "rawvideo"),
    )
)
# Where packets alone have times, a frame's is that of the packet that brings it out; of these, that depends on what
# the decoder has seen.
_GROWING_DELAY = frozenset(("h264", "hevc"))
# Key frames are looked for this much earlier, where those found began too late.
_MARGINS_S = (0.0, 2.0, 20.0)
# Of a container without an index: how much longer than any before the time from packet to packet may be. More is a gap,
# after which decoders give frames other times than theirs.
_MAX_STEP_SHARE = 1.9
_MAX_DELAY_S = 10.0  # between the times of a packet
_SURELY_LATER_S = 1.0
_MAX_KEPT_BYTES = 64 << 20


class UnsureError(Exception):
    """This way might give other pictures than one pass."""


@dataclass(slots=True)
class Reading:
    """A file being read: its path, container, stream, the clock, damage so far, and the sign of life.

    `first` is the first frame of the file, where a way has looked at it before it went elsewhere.
    """

    path: Path
    container: "av.container.InputContainer"
    stream: "av.VideoStream"
    clock: Clock
    damaged: list[str]
    beat: Callable[[], None]
    first: "av.VideoFrame | None" = None

    def check(self) -> None:
        """Raise `UnsureError` where something was damaged or guessed."""
        if self.damaged or not self.clock.is_plain:
            raise UnsureError


def in_one_pass(reading: Reading, begin_seconds: float) -> "TimedFrames":
    """Decode everything."""
    for frame in decoded_frames(reading.container, reading.stream, reading.damaged):
        yield reading.clock.seconds_of(frame), frame


def by_index(reading: Reading, begin_seconds: float) -> "TimedFrames":
    """Seek to the key frame before a moment and decode from there."""
    import av

    container, stream = reading.container, reading.stream
    if container.format.name not in _INDEXED or stream.codec_context.name not in _KEYED_CODECS:
        raise UnsureError
    if container.format.name == _MATROSKA and not _is_of_its_length(reading.path):
        raise UnsureError
    first = _first_frame(reading, sound_packets(container, stream, reading.damaged))
    if first.pts is None or not stream.time_base:
        raise UnsureError
    for margin in _MARGINS_S:
        seconds = begin_seconds - margin
        if seconds <= NEAR_SECONDS:
            break
        try:
            container.seek(first.pts + math.floor(seconds / stream.time_base), stream=stream)
        except (av.FFmpegError, OverflowError) as error:
            raise UnsureError from error
        packets = sound_packets(container, stream, reading.damaged)
        begin = next(packets, None)
        if begin is None or not begin.size or not begin.is_keyframe or begin.pts is None:
            break
        if (begin.pts - first.pts) * stream.time_base <= begin_seconds:
            yield from _sure_until(begin_seconds, reading, chain([begin], packets))
            return
    raise UnsureError


def _is_of_its_length(path: Path) -> bool:
    """Whether a Matroska file has as many bytes as it says, so that its index leads to the right places."""
    with path.open("rb") as file:
        front = file.read(_HEADER_BYTES)
        num_bytes = file.seek(0, os.SEEK_END)
    start = front.find(_SEGMENT) + len(_SEGMENT)
    if start < len(_SEGMENT) or not front[start:]:
        return False
    length = 9 - front[start].bit_length()  # of the number: as many bits are zero before the first one (RFC 8794)
    size = int.from_bytes(front[start : start + length]) & (unknown := (1 << 7 * length) - 1)
    return size == unknown or start + length + size == num_bytes


def past_packets(reading: Reading, begin_seconds: float) -> "TimedFrames":
    """Read packets without decoding them until the last key frame before a moment, and decode from there."""
    container, stream, clock = reading.container, reading.stream, reading.clock
    codec = stream.codec_context.name
    if codec not in _KEYED_CODECS or (codec in _GROWING_DELAY and not clock.has_presentation_times):
        raise UnsureError
    packets = sound_packets(container, stream, reading.damaged)
    opening: list[VideoPacket | None] = []
    first = _first_frame(reading, packets, opening)
    first_seconds = _seconds(first.pts if clock.has_presentation_times else first.dts, stream)
    stream.codec_context.flush_buffers()
    # Where packets alone have times, they say when a frame comes out, and a key frame comes out somewhat later.
    end = begin_seconds + first_seconds - (0.0 if clock.has_presentation_times else _SURELY_LATER_S)
    group: list[VideoPacket | None] = []  # from the last key frame before the moment on
    num_bytes, times = 0, _PacketTimes(stream, has_presentation_times=clock.has_presentation_times)
    for packet in chain(opening, packets):
        reading.beat()
        reading.check()
        if packet is not None and packet.size:
            if times.shown_at(packet) <= end and packet.is_keyframe:
                group, num_bytes = [], 0
            num_bytes += packet.size
        group.append(packet)
        if times.last > end + _SURELY_LATER_S or num_bytes > _MAX_KEPT_BYTES:
            break
    yield from _sure_until(begin_seconds, reading, chain(group, packets))


def _first_frame(
    reading: Reading, packets: "Packets", opening: "list[VideoPacket | None] | None" = None
) -> "av.VideoFrame":
    """The first frame of the file, by which the clock is set; `opening` takes the packets read for it."""
    for packet in packets:
        if opening is not None:
            opening.append(packet)
        for frame in frames_of_packet(reading.stream, packet, reading.damaged):
            reading.clock.seconds_of(frame)
            reading.check()
            reading.first = frame
            return frame
    raise UnsureError


def _sure_until(begin_seconds: float, reading: Reading, packets: "Packets") -> "TimedFrames":
    """Frames from a key frame on, which is the first packet; raises `UnsureError` before any is later than asked."""
    key = next(packets)
    if key is None:
        raise UnsureError
    reading.clock.leap()
    is_sure = False
    for packet in chain([key], packets):
        for frame in frames_of_packet(reading.stream, packet, reading.damaged):
            is_first = reading.clock.is_elsewhere
            if is_first and reading.clock.has_presentation_times and frame.pts != key.pts:
                if frame.pts is not None and key.pts is not None and frame.pts < key.pts:
                    continue  # shown before the key frame, and made of what lies before it
                raise UnsureError
            seconds = reading.clock.seconds_of(frame)
            if is_first and seconds > begin_seconds:
                raise UnsureError
            if not is_sure:
                reading.check()
            is_sure = is_sure or seconds > begin_seconds
            yield seconds, frame
    if not is_sure:
        reading.check()


class _PacketTimes:
    """Times of the packets of a stream, one after the other, in seconds.

    Args:
        stream: of them.
        has_presentation_times: whether they say when they are shown.
    """

    def __init__(self, stream: "av.VideoStream", *, has_presentation_times: bool) -> None:
        self._stream, self._has_presentation_times = stream, has_presentation_times
        self._step = 0.0
        self.last = -math.inf
        """When the last one was decoded."""

    def shown_at(self, packet: "VideoPacket") -> float:
        """When a packet is shown; raises `UnsureError` where its times do not follow those before."""
        decoded = _seconds(packet.dts, self._stream)
        shown = _seconds(packet.pts, self._stream) if self._has_presentation_times else decoded
        step, self.last = decoded - self.last, decoded
        if step <= 0 or (0 < self._step < step / _MAX_STEP_SHARE):
            raise UnsureError
        if math.isfinite(step):
            self._step = max(self._step, step)
        if not -_SURELY_LATER_S <= shown - decoded <= _MAX_DELAY_S:
            raise UnsureError
        return shown


def _seconds(ticks: int | None, stream: "av.VideoStream") -> float:
    if ticks is None or not stream.time_base:
        raise UnsureError
    return float(ticks * stream.time_base)
