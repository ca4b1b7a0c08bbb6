"""Where a browser finds a video, a moment of it, and its pictures."""

from dataclasses import dataclass

from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.media import media_type

__all__ = ["MediaLinks"]

_STILL_PX = 320


@dataclass(frozen=True, slots=True)
class MediaLinks:
    """The links of one video.

    Attributes:
        base: Its address: `/media/videos/12`.
        plays: Whether browsers play the file itself.
    """

    base: str
    plays: bool

    @classmethod
    def of_stored(cls, video_id: int, path: str) -> "MediaLinks":
        """Those of an indexed video."""
        return cls(f"/media/videos/{video_id}", media_type(path) != "application/octet-stream")

    def row(self, begin: float, end: float) -> Row:
        """`media, media_begins_seconds, still, plays` for a moment, in seconds.

        Where browsers do not play the file, `media` is a film of the moment alone, which begins at
        `media_begins_seconds` of the video.
        """
        middle = (begin + end) / 2
        return {
            "media": self.base if self.plays else f"{self.base}?preview={begin:.3f}-{end:.3f}",
            "media_begins_seconds": 0.0 if self.plays else begin,
            "still": f"{self.base}/still?at={middle:.3f}&px={_STILL_PX}",
            "plays": self.plays,
        }
