"""What a gallery shows of moments: short films and stills as bytes, within a budget.

    moments = [ShownMoment("a.mp4", 3.0, 5.2), ShownMoment("b.mp4", 0.0, 2.0)]       # the most important first
    pictures_of(moments, MediaLimits(), max_bytes=7_000_000)[moments[0]].film        # an MP4

The films of all moments go first where there is too little room, those of the last moments before the others; then the
stills. What is known of a file is decoded in worker processes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cocon.core.errors import UsageError, VideoError
from cocon.core.printable import in_one_line
from cocon.core.progress import OnProgress
from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.moment_pictures import moment_still, write_moment
from cocon.video.pictures.encode import jpeg
from cocon.video.workers.pool import WorkerPool
from cocon.video.workers.side_by_side import side_by_side

__all__ = ["MomentPicture", "ShownMoment", "pictures_of"]

_FILM_SECONDS = 2.0
_LONG_SIDE_PX = 320
# More are not worth the time: they would not have room.
_MAX_FILMS, _MAX_STILLS = 120, 800
# A film that is larger is made again with more loss.
_LARGE_BYTES = 300_000
_QUALITY, _LOW_QUALITY = 28, 38
_STILL_QUALITY = 78


class ShownMoment(NamedTuple):
    """A part of a video: its path, and from when to when in seconds after the first frame."""

    video: str
    begin_seconds: float
    end_seconds: float

    @property
    def film_span(self) -> tuple[float, float]:
        """Two seconds from its middle, or all of it where it is shorter."""
        begin = max(self.begin_seconds, (self.begin_seconds + self.end_seconds - _FILM_SECONDS) / 2)
        return begin, min(self.end_seconds, begin + _FILM_SECONDS)


@dataclass(frozen=True, slots=True)
class MomentPicture:
    """A moment made visible.

    Attributes:
        still: JPEG; empty where there is none.
        film: MP4; empty where there is none.
        height: Of both, in pixels.
        width: Likewise.
        problem: Why the file cannot be shown; empty where it can, or where there was no room.
    """

    still: bytes = b""
    film: bytes = b""
    height: int = 0
    width: int = 0
    problem: str = ""


def pictures_of(
    moments: Sequence[ShownMoment], limits: MediaLimits, *, max_bytes: int, on_progress: OnProgress | None = None
) -> dict[ShownMoment, MomentPicture]:
    """Stills and films of moments.

    Args:
        moments: The most important first; one that is named twice is shown by the same picture.
        limits: How much of the videos is read before they are refused.
        max_bytes: Of all together.
        on_progress: Called with (number done, total).
    """
    wanted = list(dict.fromkeys(moments))[:_MAX_STILLS]
    filmed = frozenset(wanted[:_MAX_FILMS])
    made: dict[ShownMoment, MomentPicture] = {}
    with TemporaryDirectory(prefix="cocon-") as folder:

        def picture(pool: WorkerPool, moment: ShownMoment) -> MomentPicture:
            try:
                if moment in filmed:
                    return _filmed(pool, moment, limits, Path(folder) / f"{wanted.index(moment)}.mp4")
                return _still(pool, moment, limits)
            except (UsageError, VideoError) as error:
                return MomentPicture(problem=in_one_line(error))

        side_by_side(wanted, picture, made.__setitem__, limits=limits, on_progress=on_progress)
    return dict(_fitting(((moment, made[moment]) for moment in wanted), max_bytes))


def _filmed(pool: WorkerPool, moment: ShownMoment, limits: MediaLimits, path: Path) -> MomentPicture:
    for quality in (_QUALITY, _LOW_QUALITY):
        first = write_moment(
            pool, Path(moment.video), limits, *moment.film_span, path, long_side_px=_LONG_SIDE_PX, quality=quality
        )
        film = path.read_bytes()
        path.unlink()
        if len(film) <= _LARGE_BYTES:
            break
    return MomentPicture(jpeg(first, quality=_STILL_QUALITY), film, first.shape[0], first.shape[1])


def _still(pool: WorkerPool, moment: ShownMoment, limits: MediaLimits) -> MomentPicture:
    begin, _ = moment.film_span
    pixels = moment_still(pool, Path(moment.video), limits, begin, long_side_px=_LONG_SIDE_PX)
    return MomentPicture(jpeg(pixels, quality=_STILL_QUALITY), b"", pixels.shape[0], pixels.shape[1])


def _fitting(
    pictures: Iterable[tuple[ShownMoment, MomentPicture]], max_bytes: int
) -> Iterable[tuple[ShownMoment, MomentPicture]]:
    """The same, without what there is no room for."""
    kept: list[tuple[ShownMoment, MomentPicture]] = []
    for moment, picture in pictures:
        has_room = len(picture.still) <= max_bytes
        max_bytes -= len(picture.still) if has_room else 0
        kept.append((moment, picture if has_room else replace(picture, still=b"", film=b"")))
    for moment, picture in kept:
        has_room = len(picture.film) <= max_bytes
        max_bytes -= len(picture.film) if has_room else 0
        yield moment, picture if has_room else replace(picture, film=b"")
