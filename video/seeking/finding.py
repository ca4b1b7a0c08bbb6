"""Pictures of a file from a moment on, without decoding what comes before where that gives the very same pictures.

    for seconds, pixels in pictures_from(Path("video.mp4"), MediaLimits(), 3600.0): ...

Vectors of whole videos never come this way: they take one pass. Parts of videos, and pictures to look at, take the
first of three ways that the file allows:

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
from cocon.video.decoding.picture import Picture
from cocon.video.decoding.viewing import Viewing
from cocon.video.seeking.ways import NEAR_SECONDS, Reading, UnsureError, by_index, in_one_pass, past_packets

if TYPE_CHECKING:
    from cocon.video.seeking.ways import TimedFrames

    Way: TypeAlias = Callable[[Reading, float], TimedFrames]

__all__ = ["MomentFinder", "pictures_from", "ways_to"]


class MomentFinder:
    """Looks for a moment of one file.

    Args:
        path: the file.
        limits: how much is read before it is refused.
        begin_seconds: the moment.
        beat: called for every frame and packet.

    Attributes:
        shape: height and width of the first picture of the file, whatever the moment; known with the first picture.
        damaged: a line for everything that was damaged or guessed where the last way looked.

    Raises:
        UsageError: there is no such file.
        VideoError: its header is beyond a limit, or cannot be read.
    """

    def __init__(self, path: Path, limits: MediaLimits, begin_seconds: float, beat: Callable[[], None]) -> None:
        self._path, self._limits, self._begin_seconds, self._beat = path, limits, begin_seconds, beat
        self._header, self._check_shape = checked_header(path, limits)
        self.shape = (0, 0)
        self.damaged: list[str] = []

    def pictures(self, way: "Way", *, is_sure_throughout: bool = False) -> Iterator[tuple[float, Picture]]:
        """As `pictures_from`, each picture made when it is looked at.

        Args:
            way: one of `ways_to`.
            is_sure_throughout: be sure of all pictures, and not of the first alone.

        Raises:
            UnsureError: that way is not sure; before the first picture, or after any where it is to be sure of all.
        """
        damaged = self.damaged = []
        self.shape = (0, 0)
        is_any = False
        with open_video(self._path) as (container, stream):
            stream.codec_context.thread_count = 1  # as in one pass: threads take sound neighbours of damage away
            rate = frames_per_second(container, stream)
            clock = Clock(container.format.name, rate, self._header.duration_seconds or 0.0, damaged)
            viewing = Viewing(self._header.sample_aspect_ratio, self._check_shape, damaged, [])
            reading = Reading(self._path, container, stream, clock, damaged, self._beat)
            must_be_sure = is_sure_throughout and way is not in_one_pass
            frames = self._within_limits(way(reading, self._begin_seconds))
            for seconds, picture in self._seen(frames, reading, viewing):
                if must_be_sure:
                    reading.check()
                is_any = True
                yield seconds, picture
        if not is_any:
            raise nothing_decodes(self._path, damaged) if way is in_one_pass else UnsureError

    def _seen(self, frames: "TimedFrames", reading: Reading, viewing: Viewing) -> Iterator[tuple[float, Picture]]:
        """The last picture that is not later than the moment, and all after it."""
        before = next(frames, None)
        if reading.first is not None:  # what it says of those after it, such as their turn, counts on
            self._begin_with(viewing.picture(reading.first))
        while before is not None:
            after = next(frames, None)
            is_passed = after is not None and after[0] <= self._begin_seconds
            if is_passed and any(self.shape):
                viewing.pass_over(before[1])
            elif (picture := viewing.picture(before[1])) is not None:
                if not any(self.shape):
                    self._begin_with(picture)
                if not is_passed:
                    yield before[0], picture
            before = after

    def _begin_with(self, picture: Picture | None) -> None:
        """Note what the file begins with; of a way that went elsewhere, one pass might begin with another one."""
        if picture is None:
            raise UnsureError
        height, width, _ = picture.pixels.shape
        self.shape = height, width

    def _within_limits(self, frames: "TimedFrames") -> "TimedFrames":
        for number, (seconds, frame) in enumerate(frames, start=1):
            self._beat()
            self._limits.check(self._path, "max_frames", number, "frames or more")
            self._limits.check(self._path, "max_seconds", seconds, "seconds or more")
            yield seconds, frame


def ways_to(begin_seconds: float) -> "tuple[Way, ...]":
    """The ways to a moment, in the order in which they are tried; the last one is always sure."""
    return (by_index, past_packets, in_one_pass) if begin_seconds > NEAR_SECONDS else (in_one_pass,)


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
    finder = MomentFinder(path, limits, begin_seconds, on_frame)
    for way in ways_to(begin_seconds):
        pictures = ((seconds, picture.pixels) for seconds, picture in finder.pictures(way))
        try:
            first = next(pictures)
        except UnsureError:
            continue
        yield first
        yield from pictures
        return
