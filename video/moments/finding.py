"""Pictures of a file from a moment on, without decoding what comes before where that gives the very same pictures.

    for seconds, pixels in pictures_from(Path("video.mp4"), MediaLimits(), 3600.0): ...

Vectors never come this way: they take one pass. Pictures to look at take the first of three ways that the file allows:

1. **By its index**, for MP4 and Matroska: to the key frame before the moment, and on from there.
2. **Past its packets**, for what has no trustworthy index, such as transport streams: packets are read from the
   beginning on and not decoded, until the last key frame before the moment.
3. **In one pass**, where a time was guessed, a packet is damaged, or the decoder gives another picture first than the
   key frame: what then comes out may depend on everything before.

Of a file that is damaged where none of these ways looks, the picture is what the container says of that time; one pass
may have lost it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cocon.video.decoding.clock import Clock
from cocon.video.decoding.container import open_video
from cocon.video.decoding.frames import Frame, checked_header, nothing_decodes
from cocon.video.decoding.limits import MediaLimits
from cocon.video.decoding.packets import frames_per_second
from cocon.video.decoding.viewing import Viewing
from cocon.video.moments.ways import NEAR_SECONDS, Reading, UnsureError, by_index, in_one_pass, past_packets

if TYPE_CHECKING:
    from cocon.video.moments.ways import TimedFrames

    Way: TypeAlias = Callable[[Reading, float], TimedFrames]

__all__ = ["pictures_from"]


class _Finder:
    """Looks for a moment of one file.

    Args:
        path: the file.
        limits: how much is read before it is refused.
        begin_seconds: the moment.
        beat: called for every frame and packet.
    """

    def __init__(self, path: Path, limits: MediaLimits, begin_seconds: float, beat: Callable[[], None]) -> None:
        self._path, self._limits, self._begin_seconds, self._beat = path, limits, begin_seconds, beat
        self._header, self._check_shape = checked_header(path, limits)

    def pictures(self, way: "Way") -> Iterator[Frame]:
        """As `pictures_from`; raises `UnsureError` before the first if that way is not sure."""
        damaged: list[str] = []
        is_any = False
        with open_video(self._path) as (container, stream):
            stream.codec_context.thread_count = 1  # as in one pass: threads take sound neighbours of damage away
            rate = frames_per_second(container, stream)
            clock = Clock(container.format.name, rate, self._header.duration_seconds or 0.0, damaged)
            viewing = Viewing(self._header.sample_aspect_ratio, self._check_shape, damaged, [])
            frames = self._within_limits(
                way(Reading(self._path, container, stream, clock, damaged, self._beat), self._begin_seconds)
            )
            before = next(frames, None)
            while before is not None:
                after = next(frames, None)
                if after is not None and after[0] <= self._begin_seconds:
                    viewing.pass_over(before[1])
                elif (picture := viewing.picture(before[1])) is not None:
                    is_any = True
                    yield before[0], picture.pixels
                before = after
        if not is_any:
            raise nothing_decodes(self._path, damaged) if way is in_one_pass else UnsureError

    def _within_limits(self, frames: "TimedFrames") -> "TimedFrames":
        for number, (seconds, frame) in enumerate(frames, start=1):
            self._beat()
            self._limits.check(self._path, "max_frames", number, "frames or more")
            self._limits.check(self._path, "max_seconds", seconds, "seconds or more")
            yield seconds, frame


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
    finder = _Finder(path, limits, begin_seconds, on_frame)
    for way in (by_index, past_packets) if begin_seconds > NEAR_SECONDS else ():
        pictures = finder.pictures(way)
        try:
            first = next(pictures)
        except UnsureError:
            continue
        yield first
        yield from pictures
        return
    yield from finder.pictures(in_one_pass)
