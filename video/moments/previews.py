"""Stills and short films of moments as files that are kept for a while.

previews = MomentPreviews(pool, MediaLimits(), PreviewCache(folder, max_bytes=256 << 20))
previews.still(Path("video.mp4"), content_sha256, 3.5, long_side_px=160)        # a JPEG
previews.film(Path("video.mp4"), content_sha256, 3.0, 5.0, long_side_px=480)    # an MP4
"""

from pathlib import Path

from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.cache import PreviewCache, preview_key
from cocon.video.moments.moment_pictures import moment_still, write_moment
from cocon.video.pictures.encode import jpeg
from cocon.video.workers.pool import WorkerPool

__all__ = ["MomentPreviews"]


class MomentPreviews:
    """Makes previews, and keeps them in a cache. Safe for several threads.

    Args:
        pool: Runs decoder and encoder.
        limits: How much of a file is read before it is refused.
        cache: Where previews are kept.
    """

    def __init__(self, pool: WorkerPool, limits: MediaLimits, cache: PreviewCache) -> None:
        self._pool, self._limits, self._cache = pool, limits, cache

    def still(self, video: Path, content: str, seconds: float, *, long_side_px: int) -> Path:
        """The picture nearest to a moment as a JPEG.

        Args:
            video: The file.
            content: What says which content it has, such as its sha256.
            seconds: After the first frame; behind the end, the last picture.
            long_side_px: Of the picture at most.

        Raises:
            UsageError: There is no such file.
            VideoError: It cannot be decoded.
            StorageError: The disk takes no more.
        """

        def make(path: Path) -> None:
            pixels = moment_still(self._pool, video, self._limits, seconds, long_side_px=long_side_px)
            path.write_bytes(jpeg(pixels))

        return self._cache.file(preview_key(content, seconds, long_side_px), ".jpg", make)

    def film(self, video: Path, content: str, begin_seconds: float, end_seconds: float, *, long_side_px: int) -> Path:
        """A moment as an MP4 that browsers play; arguments and errors as of `write_moment` and `still`."""

        def make(path: Path) -> None:
            write_moment(self._pool, video, self._limits, begin_seconds, end_seconds, path, long_side_px=long_side_px)

        return self._cache.file(preview_key(content, begin_seconds, end_seconds, long_side_px), ".mp4", make)
