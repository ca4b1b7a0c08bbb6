"""Frames of a video file, in one sequential pass.

Nothing ever seeks: one pass is several times cheaper than one seek per clip.

    frames = read_frames(Path("video.mp4"))
    for seconds, pixels in frames: ...          # uint8 [H, W, 3]
    frames.num_frames, frames.duration_seconds, frames.lost
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UnreadableVideoError
from cocon.core.paths import check_file
from cocon.video.decoding.container import Header, read_header
from cocon.video.decoding.decoder import decoded_pictures
from cocon.video.decoding.limits import MediaLimits
from cocon.video.decoding.picture import Picture
from cocon.video.geometry import resize

__all__ = ["Frame", "FrameStream", "checked_header", "nothing_decodes", "of_one_size", "read_frames"]

Frame = tuple[float, NDArray[np.uint8]]

# Headers round durations, and some count the first frame's delay: so much may be missing from a whole file.
_LOST_SECONDS, _LOST_SHARE = 0.5, 0.02


@dataclass(slots=True)
class FrameStream:
    """The frames of one file, decoded as they are taken; an iterator. Made by `read_frames`.

    Attributes:
        path: the file.
        display_shape: height and width of the pictures by the header, before they are turned.
        num_frames: frames given so far.
        height: of the first frame.
        width: likewise.
        duration_seconds: end of the last frame given (its time plus the interval before it), 0 being the first one's.
        lost: after the last frame: why pictures are missing or damaged; empty if none is known to be.
        notes: what else a user should know of the pictures, such as that their colours were converted.
        decode_seconds: of a processor, that decoding took; known after the last frame, where it is done ahead.
    """

    path: Path
    display_shape: tuple[int, int]
    _pictures: Generator[tuple[float, Picture], None, None] = field(repr=False)
    _limits: MediaLimits = field(repr=False)
    _declared_seconds: float | None = field(repr=False)
    _damaged: list[str] = field(repr=False)
    notes: list[str] = field(repr=False)
    _spent_s: list[float] = field(repr=False)
    _on_frame: Callable[[], None] | None = field(repr=False)
    num_frames: int = 0
    height: int = 0
    width: int = 0
    duration_seconds: float = 0.0
    lost: str = ""
    _previous_seconds: float = field(default=0.0, repr=False)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        seconds, picture = self._advance()
        return seconds, picture.pixels

    @property
    def decode_seconds(self) -> float:
        """See above."""
        return sum(self._spent_s)

    def close(self) -> None:
        """Stop decoding, if that is under way."""
        self._pictures.close()

    def pictures(self) -> Iterator[tuple[float, Picture]]:
        """The same frames, all of the size of the first, whose pixels are made as they are asked for."""
        try:
            while True:
                seconds, picture = self._advance()
                yield seconds, picture.changed(partial(resize, height=self.height, width=self.width))
        except StopIteration:
            return

    def _advance(self) -> tuple[float, Picture]:
        """The next frame; raises `StopIteration` behind the last."""
        try:
            seconds, picture = next(self._pictures)
        except StopIteration:
            self._conclude()
            raise
        if self._on_frame:
            self._on_frame()
        interval = seconds - self._previous_seconds if self.num_frames else 1 / 25
        if not self.num_frames:
            self.height, self.width = picture.pixels.shape[:2]
        self._previous_seconds = seconds
        self.num_frames += 1
        self.duration_seconds = seconds + interval
        self._limits.check(self.path, "max_frames", self.num_frames, "frames or more")
        self._limits.check(self.path, "max_seconds", seconds, "seconds or more")
        return seconds, picture

    def _conclude(self) -> None:
        if self.num_frames == 0:
            raise nothing_decodes(self.path, self._damaged)
        declared = self._declared_seconds
        if declared and self.duration_seconds + max(_LOST_SECONDS, declared * _LOST_SHARE) < declared:
            self.lost = f"it ends after {self.duration_seconds:.3f} of {declared:.3f} seconds"
        elif self._damaged:
            self.lost = f"{len(self._damaged)} of its packets are damaged: {self._damaged[0]}"


def read_frames(
    path: Path,
    limits: MediaLimits | None = None,
    *,
    on_frame: Callable[[], None] | None = None,
    is_ahead: bool = False,
) -> FrameStream:
    """Decode a video from its first frame to its last.

    The header is checked at once, frames are decoded as they are taken. A file whose pictures are partly lost gives
    those that decode, and says so in `FrameStream.lost`.

    Args:
        path: the file.
        limits: how much is read before the file is refused; the defaults of `MediaLimits` unless given.
        on_frame: called for every frame, as a sign of life.
        is_ahead: decode in a thread, a few frames ahead of who takes them; `close` it then.

    Returns:
        (presentation time in seconds after the first frame, RGB `uint8 [H, W, 3]`) of every frame in presentation
        order, as a viewer sees them: square pixels, the right way up, colours of BT.709. Taking frames raises
        UnreadableVideoError if none decodes, and TooLargeError beyond a limit.

    Raises:
        UsageError: there is no such file.
        UnreadableVideoError: the file is no media file.
        NoVideoStreamError: the file holds no pictures.
        TooLargeError: its size or its header is beyond a limit.
    """
    limits = limits or MediaLimits()
    header, check_shape = checked_header(path, limits)
    damaged: list[str] = []
    notes: list[str] = []
    spent_s: list[float] = []
    pictures = decoded_pictures(path, header, check_shape, damaged, notes, spent_s, is_ahead=is_ahead)
    seconds = header.duration_seconds
    return FrameStream(path, header.display_shape, pictures, limits, seconds, damaged, notes, spent_s, on_frame)


def checked_header(path: Path, limits: MediaLimits) -> tuple[Header, Callable[[int, int], None]]:
    """What a file says of itself, and what refuses heights and widths of its pictures; raises as `read_frames`."""
    check_file(path, "video")
    limits.check(path, "max_bytes", path.stat().st_size, "bytes")
    header = read_header(path)
    check_shape = partial(_check_shape, path, limits)
    check_shape(*header.stored_shape)
    check_shape(*header.display_shape)
    limits.check(path, "max_seconds", header.duration_seconds or 0.0, "seconds")
    return header, check_shape


def nothing_decodes(path: Path, damaged: Sequence[str]) -> UnreadableVideoError:
    """What to raise of a video that has no picture."""
    detail = damaged[0] if damaged else "it has a video stream but no frame of it decodes"
    return UnreadableVideoError(f"video '{path}' cannot be decoded: {detail}")


def of_one_size(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Give all frames the size of the first, since views of a video do not change theirs; other shapes are stretched.

    Args:
        frames: (seconds, pixels `uint8 [H, W, 3]`), H and W of any frame its own.

    Yields:
        The same, with the H and W of the first.
    """
    shape: tuple[int, int] | None = None
    for seconds, pixels in frames:
        shape = shape or (pixels.shape[0], pixels.shape[1])
        yield seconds, resize(pixels, *shape)


def _check_shape(path: Path, limits: MediaLimits, height: int, width: int) -> None:
    limits.check(path, "max_pixels", height * width, "pixels per picture")
    limits.check(path, "max_aspect", max(height, width) / max(1, min(height, width)), "times its short side in length")
