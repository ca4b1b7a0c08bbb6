"""Whether a file plays in a browser as it is.

`plays_in_browsers` says yes only where Chromium, Firefox and Safari of the last years all play the pictures, with the
colours and the shape that the file means. Whatever else there is can be shown by a film of `moment_pictures`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cocon.core.errors import VideoError
from cocon.video.decoding.container import open_video
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool

if TYPE_CHECKING:
    import av

__all__ = ["plays_in_browsers", "plays_job"]

# FFmpeg's names: container → codecs.
_PLAYED = {
    "mov,mp4,m4a,3gp,3g2,mj2": frozenset(("h264", "av1", "libdav1d", "vp9", "libvpx-vp9")),
    "matroska,webm": frozenset(("vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d")),
}
_EIGHT_BITS = frozenset(("yuv420p", "yuvj420p"))
_WIDE_TRANSFERS = frozenset((16, 18))  # PQ and HLG, which browsers show each in its own way
_BT2020 = 9
# A QuickTime film is played by some, Matroska by some; each says at its front what it is.
_FRONT_BYTES = 4096


def plays_in_browsers(pool: WorkerPool, video: Path, limits: MediaLimits) -> bool:
    """Whether all browsers play a file's pictures as they are.

    The container is MP4 or WebM, the codec H.264, VP8, VP9 or AV1 in 4:2:0 with eight bits and no more than the
    standard range of colours, and the pictures come in full frames. A file that is no video does not play.

    Args:
        pool: opens the file.
        video: the file.
        limits: the largest file that is looked into.
    """
    try:
        (message,) = pool.run(plays_job, video, limits)
    except (VideoError, OSError):
        return False
    return bool(message.fields["plays"])


def plays_job(beat: Beat, video: Path, limits: MediaLimits) -> Iterator[Message]:
    """Look into a file's header.

    Yields:
        `plays`.
    """
    limits.check(video, "max_bytes", video.stat().st_size, "bytes")
    with open_video(video) as (container, stream):
        codecs = _PLAYED.get(container.format.name, frozenset())
        yield Message({"plays": stream.codec_context.name in codecs and _is_plain(stream) and _is_of_web(video)})


def _is_plain(stream: "av.VideoStream") -> bool:
    codec = stream.codec_context
    wide = codec.color_trc in _WIDE_TRANSFERS or codec.color_primaries == _BT2020
    return codec.pix_fmt in _EIGHT_BITS and not wide


def _is_of_web(video: Path) -> bool:
    """Whether a file is MP4 or WebM, and not of their families."""
    with video.open("rb") as stream:
        front = stream.read(_FRONT_BYTES)
    if front[4:8] == b"ftyp":
        return front[8:12] != b"qt  "
    return front[:4] == b"\x1aE\xdf\xa3" and b"\x42\x82\x84webm" in front
