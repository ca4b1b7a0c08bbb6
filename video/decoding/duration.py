"""How long a video is, without decoding it and in a short time, whatever the file is."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cocon.video.decoding.container import open_video
from cocon.video.decoding.frames import checked_header
from cocon.video.decoding.limits import MediaLimits
from cocon.video.decoding.packets import frames_per_second, sound_packets

if TYPE_CHECKING:
    import av

    from cocon.video.decoding.packets import VideoPacket

__all__ = ["duration_seconds"]

# So much is read where the header says nothing, which takes some hundredths of a second; then what is left is judged by
# what was read. Not bounded by time: who asks again is to be told the same.
_MOST_PACKETS, _MOST_BYTES = 4096, 16 << 20
# Times that go back farther than reordering does begin anew, see `Clock`.
_MAX_REORDERING_S = 1.0


def duration_seconds(path: Path, limits: MediaLimits | None = None) -> float:
    """Seconds from the first frame of a video to the end of its last one.

    What the header says, else what the times of the packets say, if they are few, else an estimate: by the
    last time of a stream, or by the bytes of a file whose times begin anew or that has none. Nothing is decoded: of a
    damaged file, or one whose header is wrong, the frames may end sooner or later.

    Args:
        path: the file.
        limits: how much is read before it is refused; the defaults of `MediaLimits` unless given.

    Returns:
        0 where nothing tells.

    Raises:
        UsageError: there is no such file.
        VideoError: it is no media file, holds no pictures, or is beyond a limit.
    """
    header, _ = checked_header(path, limits or MediaLimits())
    if header.duration_seconds:
        return header.duration_seconds
    with open_video(path) as (container, stream):
        walk, is_whole = _Walk(), True
        for number, packet in enumerate(sound_packets(container, stream, []), 1):
            if packet is not None and packet.size:
                walk.pass_by(packet)
            if number >= _MOST_PACKETS or walk.last_byte > _MOST_BYTES:
                is_whole = False
                break
        seconds = walk.seconds or walk.num_packets / frames_per_second(container, stream)
        return seconds if is_whole else _estimated(seconds, walk, container, path.stat().st_size)


@dataclass(slots=True)
class _Walk:
    """What the packets passed so far say; stretches of time that begin anew follow each other."""

    num_packets: int = 0
    last_byte: int = 0
    before_seconds: float = 0.0
    first: float | None = None
    latest: float = 0.0
    step: float = 0.0

    @property
    def seconds(self) -> float:
        """To the end of the last one; 0 where none has a time."""
        return self.before_seconds + (0.0 if self.first is None else self.latest - self.first + self.step)

    def pass_by(self, packet: "VideoPacket") -> None:
        self.num_packets += 1
        self.last_byte = max(self.last_byte, packet.pos or 0)
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or not packet.time_base:
            return
        seconds = float(ticks * packet.time_base)
        if self.first is not None and seconds < self.latest - _MAX_REORDERING_S:
            self.before_seconds, self.first = self.seconds, None
        if self.first is None:
            self.first = self.latest = seconds
        elif seconds > self.latest:
            self.step, self.latest = seconds - self.latest, seconds
        self.first = min(self.first, seconds)


def _estimated(seconds: float, walk: _Walk, container: "av.container.InputContainer", num_bytes: int) -> float:
    said = (
        container.duration / 1e6 if container.duration else 0.0
    )  # of a transport stream: its last time less the first
    if said > seconds:
        return said
    return seconds * num_bytes / walk.last_byte if walk.last_byte else seconds
