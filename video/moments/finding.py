"""Pictures of a file from a moment on, without decoding what comes before where that gives the very same pictures.

    for seconds, pixels in pictures_from(Path("video.mp4"), MediaLimits(), 3600.0): ...

Vectors never come this way: they take one pass. Pictures to look at take the first of three ways that the file allows:

1. **By its index**, for MP4 and Matroska: to the key frame before the moment, and on from there.
2. **Past its packets**, for what has no trustworthy index, such as transport streams: packets are read from the
   beginning on and not decoded, until the last key frame before the moment.
3. **In one pass**, where a time was guessed, a packet is damaged, or the decoder gives another picture first than the
   key frame: what then comes out may depend on everything before.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cocon.video.decoding.clock import Clock
from cocon.video.decoding.container import Header, open_video
from cocon.video.decoding.frames import Frame, checked_header, nothing_decodes
from cocon.video.decoding.limits import MediaLimits
from cocon.video.decoding.packets import decoded_frames, frames_of_packet, frames_per_second, sound_packets
from cocon.video.decoding.viewing import Viewing

if TYPE_CHECKING:
    import av

    from cocon.video.decoding.packets import VideoPacket

    Packets: TypeAlias = Iterator[VideoPacket | None]
    TimedFrames: TypeAlias = Iterator[tuple[float, "av.VideoFrame"]]
    Way: TypeAlias = Callable[["_Reading", float], "TimedFrames"]

__all__ = ["pictures_from"]

# An earlier moment is found faster by decoding.
_NEAR_SECONDS = 1.0
# Formats whose index says where key frames are; FFmpeg's names.
_INDEXED = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"))
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
# Between neighbouring packets, and between the times of one; more is a jump.
_MAX_STEP_S, _MAX_DELAY_S = 60.0, 10.0
_SURELY_LATER_S = 1.0
_MAX_KEPT_BYTES = 64 << 20


class _UnsureError(Exception):
    """This way might give other pictures than one pass."""


@dataclass(slots=True)
class _Reading:
    """A file being read: container, its stream, the clock, damage so far, and the sign of life."""

    container: "av.container.InputContainer"
    stream: "av.VideoStream"
    clock: Clock
    damaged: list[str]
    beat: Callable[[], None]

    def check(self) -> None:
        """Raise `_UnsureError` where something was damaged or guessed."""
        if self.damaged or not self.clock.is_plain:
            raise _UnsureError


def pictures_from(
    path: Path, limits: MediaLimits, begin_seconds: float, *, on_frame: Callable[[], None] = lambda: None
) -> Iterator[Frame]:
    """Pictures of a video from a moment on, each as `read_frames` gives it, at its time.

    Args:
        path: the file.
        limits: how much is read before the file is refused.
        begin_seconds: after the first frame.
        on_frame: called for every frame and every packet passed, as a sign of life.

    Yields:
        (seconds after the first frame, RGB `uint8 [H, W, 3]`): first the last picture that is not later than the
        moment, then all after it. At least one.

    Raises:
        UsageError: there is no such file.
        VideoError: it cannot be decoded, or is beyond a limit.
    """
    header, check_shape = checked_header(path, limits)
    ways: list[Way] = [_by_index, _past_packets] if begin_seconds > _NEAR_SECONDS else []
    for way in ways:
        pictures = _pictures(way, path, header, limits, check_shape, begin_seconds, on_frame)
        try:
            first = next(pictures)
        except _UnsureError:
            continue
        yield first
        yield from pictures
        return
    yield from _pictures(_in_one_pass, path, header, limits, check_shape, begin_seconds, on_frame)


def _pictures(
    way: "Way",
    path: Path,
    header: Header,
    limits: MediaLimits,
    check_shape: Callable[[int, int], None],
    begin_seconds: float,
    beat: Callable[[], None],
) -> Iterator[Frame]:
    """As `pictures_from`; raises `_UnsureError` before the first if that way is not sure."""
    damaged: list[str] = []
    is_any = False
    with open_video(path) as (container, stream):
        stream.codec_context.thread_count = 1  # as in one pass: threads take sound neighbours of damage away
        rate = frames_per_second(container, stream)
        clock = Clock(container.format.name, rate, header.duration_seconds or 0.0, damaged)
        viewing = Viewing(stream, check_shape, damaged, [])
        frames = _counted(way(_Reading(container, stream, clock, damaged, beat), begin_seconds), path, limits, beat)
        before = next(frames, None)
        while before is not None:
            after = next(frames, None)
            if after is not None and after[0] <= begin_seconds:
                viewing.pass_over(before[1])
            elif (pixels := viewing.picture(before[1])) is not None:
                is_any = True
                yield before[0], pixels
            before = after
    if not is_any:
        raise nothing_decodes(path, damaged) if way is _in_one_pass else _UnsureError


def _counted(frames: "TimedFrames", path: Path, limits: MediaLimits, beat: Callable[[], None]) -> "TimedFrames":
    """The same frames, within limits."""
    for number, (seconds, frame) in enumerate(frames, start=1):
        beat()
        limits.check(path, "max_frames", number, "frames or more")
        limits.check(path, "max_seconds", seconds, "seconds or more")
        yield seconds, frame


def _in_one_pass(reading: _Reading, begin_seconds: float) -> "TimedFrames":
    for frame in decoded_frames(reading.container, reading.stream, reading.damaged):
        yield reading.clock.seconds_of(frame), frame


def _by_index(reading: _Reading, begin_seconds: float) -> "TimedFrames":
    """Seek to the key frame before a moment and decode from there."""
    import av

    container, stream = reading.container, reading.stream
    if container.format.name not in _INDEXED or stream.codec_context.name not in _KEYED_CODECS:
        raise _UnsureError
    first = _first_frame(reading, sound_packets(container, stream, reading.damaged))
    if first.pts is None or not stream.time_base:
        raise _UnsureError
    for margin in _MARGINS_S:
        seconds = begin_seconds - margin
        if seconds <= _NEAR_SECONDS:
            break
        try:
            container.seek(first.pts + math.floor(seconds / stream.time_base), stream=stream)
        except (av.FFmpegError, OverflowError) as error:
            raise _UnsureError from error
        packets = sound_packets(container, stream, reading.damaged)
        begin = next(packets, None)
        if begin is None or not begin.size or not begin.is_keyframe or begin.pts is None:
            break
        if (begin.pts - first.pts) * stream.time_base <= begin_seconds:
            yield from _sure_until(begin_seconds, reading, chain([begin], packets))
            return
    raise _UnsureError


def _past_packets(reading: _Reading, begin_seconds: float) -> "TimedFrames":
    """Read packets without decoding them until the last key frame before a moment, and decode from there."""
    container, stream, clock = reading.container, reading.stream, reading.clock
    codec = stream.codec_context.name
    if codec not in _KEYED_CODECS or (codec in _GROWING_DELAY and not clock.has_presentation_times):
        raise _UnsureError
    packets = sound_packets(container, stream, reading.damaged)
    opening: list[VideoPacket | None] = []
    first = _first_frame(reading, packets, opening)
    first_seconds = _seconds(first.pts if clock.has_presentation_times else first.dts, stream)
    stream.codec_context.flush_buffers()
    # Where packets alone have times, they say when a frame comes out, and a key frame comes out somewhat later.
    end = begin_seconds + first_seconds - (0.0 if clock.has_presentation_times else _SURELY_LATER_S)
    group: list[VideoPacket | None] = []  # from the last key frame before the moment on
    num_bytes, last = 0, -math.inf
    for packet in chain(opening, packets):
        reading.beat()
        reading.check()
        if packet is not None and packet.size:
            shown, last = _times(packet, stream, last, has_presentation_times=clock.has_presentation_times)
            if packet.is_keyframe and shown <= end:
                group, num_bytes = [], 0
            num_bytes += packet.size
        group.append(packet)
        if last > end + _SURELY_LATER_S or num_bytes > _MAX_KEPT_BYTES:
            break
    yield from _sure_until(begin_seconds, reading, chain(group, packets))


def _first_frame(
    reading: _Reading, packets: "Packets", opening: "list[VideoPacket | None] | None" = None
) -> "av.VideoFrame":
    """The first frame of the file, by which the clock is set; `opening` takes the packets read for it."""
    for packet in packets:
        if opening is not None:
            opening.append(packet)
        for frame in frames_of_packet(reading.stream, packet, reading.damaged):
            reading.clock.seconds_of(frame)
            reading.check()
            return frame
    raise _UnsureError


def _sure_until(begin_seconds: float, reading: _Reading, packets: "Packets") -> "TimedFrames":
    """Frames from a key frame on, which is the first packet; raises `_UnsureError` before any is later than asked."""
    key = next(packets)
    if key is None:
        raise _UnsureError
    reading.clock.leap()
    is_sure = False
    for packet in chain([key], packets):
        for frame in frames_of_packet(reading.stream, packet, reading.damaged):
            is_first = reading.clock.is_elsewhere
            if is_first and reading.clock.has_presentation_times and frame.pts != key.pts:
                if frame.pts is not None and key.pts is not None and frame.pts < key.pts:
                    continue  # shown before the key frame, and made of what lies before it
                raise _UnsureError
            seconds = reading.clock.seconds_of(frame)
            if is_first and seconds > begin_seconds:
                raise _UnsureError
            if not is_sure:
                reading.check()
            is_sure = is_sure or seconds > begin_seconds
            yield seconds, frame
    if not is_sure:
        reading.check()


def _times(
    packet: "VideoPacket", stream: "av.VideoStream", before: float, *, has_presentation_times: bool
) -> tuple[float, float]:
    """When a packet is shown and when it is decoded, in seconds; raises `_UnsureError` where one is odd."""
    decoded = _seconds(packet.dts, stream)
    shown = _seconds(packet.pts, stream) if has_presentation_times else decoded
    if not (before < decoded and (before == -math.inf or decoded - before <= _MAX_STEP_S)):
        raise _UnsureError
    if not -_SURELY_LATER_S <= shown - decoded <= _MAX_DELAY_S:
        raise _UnsureError
    return shown, decoded


def _seconds(ticks: int | None, stream: "av.VideoStream") -> float:
    if ticks is None or not stream.time_base:
        raise _UnsureError
    return float(ticks * stream.time_base)
