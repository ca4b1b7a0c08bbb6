"""What browsers are shown of a video: the file where they play it, else films of its moments; and stills."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cocon.client.pipeline.video_embedding import Row
from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.browsers import plays_in_browsers
from cocon.video.moments.cache import PreviewCache, preview_key
from cocon.video.moments.moment_pictures import moment_still, write_moment
from cocon.video.pictures.encode import write_jpeg
from cocon.video.workers.pool import WorkerPool

__all__ = ["MAX_FILM_SECONDS", "MediaSource", "Previews"]

MAX_FILM_SECONDS = 20.0
"""Of a film in place of a file that browsers do not play."""

_STILL_PX, _FILM_PX = 320, 640
_MAX_KNOWN = 1 << 16


@dataclass(frozen=True, slots=True)
class MediaSource:
    """A video to be shown.

    Attributes:
        address: Its own: `/media/videos/12`.
        content: What tells its content from any other.
        held: Gives its path; what is made of it counts only if the block ends well.
    """

    address: str
    content: str
    held: Callable[[], AbstractContextManager[Path]]


class Previews:
    """Makes pictures and films, and keeps them for a while. Safe for several threads.

    Args:
        pool: Decodes.
        limits: Of what is decoded.
        cache: Of what is made.
    """

    def __init__(self, pool: WorkerPool, limits: MediaLimits, cache: PreviewCache) -> None:
        self._pool, self._limits, self._cache = pool, limits, cache
        self._plays: dict[str, bool] = {}

    def still(self, source: MediaSource, at_seconds: float, px: int) -> Path:
        """The frame nearest to a moment as JPEG, its long side `px` at most; raises like `moment_still`."""

        def make(path: Path) -> None:
            with source.held() as video:
                write_jpeg(path, moment_still(self._pool, video, self._limits, at_seconds, long_side_px=px))

        return self._cache.file(preview_key(source.content, at_seconds, px), ".jpg", make)

    def film(self, source: MediaSource, begin: float, end: float) -> Path:
        """A part of a video, in seconds, as MP4 that browsers play; raises like `write_moment`."""

        def make(path: Path) -> None:
            with source.held() as video:
                write_moment(self._pool, video, self._limits, begin, end, path, long_side_px=_FILM_PX)

        return self._cache.file(preview_key(source.content, begin, end, _FILM_PX), ".mp4", make)

    def plays(self, source: MediaSource) -> bool:
        """Whether browsers play the file itself; raises what holding it does."""
        if (known := self._plays.get(source.content)) is None:
            with source.held() as video:
                known = plays_in_browsers(self._pool, video, self._limits)
            if len(self._plays) >= _MAX_KNOWN:
                self._plays = {}
            self._plays[source.content] = known
        return known

    def row(self, source: MediaSource, begin: float, end: float) -> Row:
        """`media, media_begins_seconds, still, plays` of a moment, in seconds.

        Where browsers do not play the file, `media` is a film of the moment alone, which begins at
        `media_begins_seconds` of the video.
        """
        plays, middle = self.plays(source), (begin + end) / 2
        end = min(max(end, begin + 0.1), begin + MAX_FILM_SECONDS)
        return {
            "media": source.address if plays else f"{source.address}?preview={begin:.3f}-{end:.3f}",
            "media_begins_seconds": 0.0 if plays else begin,
            "still": f"{source.address}/still?at={middle:.3f}&px={_STILL_PX}",
            "plays": plays,
        }
