"""Videos to look at: a few frames of each side by side, decoded in a worker process, dark ones brightened."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import CoconError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.moment_pictures import spread_stills
from cocon.video.store.dataset import VideoEntry
from cocon.video.workers.pool import WorkerPool

__all__ = ["NUM_FRAMES", "SIDE_PX", "FilmStrip", "brightened", "film_strips"]

NUM_FRAMES = 4
SIDE_PX = 112
_JPEG_QUALITY = 80
# Mean luma, 0..1: below the first a video is dark; the second is what it is given, as far as noise allows.
_DARK, _BRIGHT = 0.24, 0.38
_MOST_GAIN = 6.0
_LEAST_GAMMA = 0.4
# Lamps and their reflections may become white.
_WHITE_PERCENTILE = 99.5
_LUMA = np.array((0.2126, 0.7152, 0.0722), np.float32)  # ITU-R BT.709


@dataclass(frozen=True, slots=True)
class FilmStrip:
    """Frames of a video side by side.

    Attributes:
        jpeg: `NUM_FRAMES` squares of `SIDE_PX` from the beginning to the end.
        is_brightened: whether they were too dark to be looked at.
    """

    jpeg: bytes
    is_brightened: bool


def film_strips(
    entries: Iterable[VideoEntry], *, on_progress: Callable[[int, int | None], None]
) -> dict[VideoEntry, FilmStrip]:
    """A strip of every video, or of the part of it that is meant; one that fails is left out.

    Args:
        entries: the videos; from strangers, for all we know.
        on_progress: called with (videos done, videos in all).
    """
    wanted = list(dict.fromkeys(entries))
    made = {}
    limits = MediaLimits()
    with WorkerPool(limits) as pool:
        for done, entry in enumerate(wanted, start=1):
            with suppress(CoconError):  # the page shows a gray tile; evaluation has already named videos that fail
                made[entry] = _film_strip(pool, limits, entry)
            on_progress(done, len(wanted))
    return made


def brightened(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Frames of a dark video as bright as an ordinary one, all in the same way; of another one as they are.

    The brightest of them become white, and a gamma lifts the rest.

    Args:
        frames: RGB `uint8 [F, H, W, 3]`.

    Returns:
        The frames, and whether they were brightened.
    """
    luma = frames @ _LUMA / 255  # [F, H, W]
    if luma.mean() >= _DARK:
        return frames, False
    gain = min(_MOST_GAIN, 1 / max(1 / 255, float(np.percentile(luma, _WHITE_PERCENTILE))))
    mean = float(np.clip(luma * gain, 1 / 255, 1).mean())
    gamma = float(np.clip(np.log(_BRIGHT) / np.log(mean), _LEAST_GAMMA, 1)) if mean < 1 else 1.0
    table = 255 * np.clip(np.arange(256) / 255 * gain, 0, 1) ** gamma
    return table.round().astype(np.uint8)[frames], True


def _film_strip(pool: WorkerPool, limits: MediaLimits, entry: VideoEntry) -> FilmStrip:
    frames = spread_stills(
        pool,
        entry.path,
        limits,
        NUM_FRAMES,
        side_px=SIDE_PX,
        begin_seconds=entry.start_seconds,
        end_seconds=entry.end_seconds,
    )
    shown, is_brightened = brightened(frames)
    row = cv2.cvtColor(np.concatenate(list(shown), axis=1), cv2.COLOR_RGB2BGR)  # [SIDE_PX, NUM_FRAMES * SIDE_PX, 3]
    edges = np.arange(1, NUM_FRAMES) * SIDE_PX
    row[:, edges - 1], row[:, edges] = 0, 255  # seen between dark frames and between bright ones
    jpeg = cv2.imencode(".jpg", row, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    return FilmStrip(jpeg, is_brightened)
