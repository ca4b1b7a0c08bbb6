"""A part of a video, `q.mp4#12.5-18`: what a name means, and which clips it is.

path, span = named_part("q.mp4#1:05-1:20")
clips_of_part(embedder.embed(path), span)           # of the clips of a minute and five to a minute and twenty seconds
"""

import math
import os
import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.texts.text_files import named_path

__all__ = ["TimeSpan", "clips_in_span", "clips_of_part", "named_part"]

_FORM = "write START-END in seconds or minutes, such as q.mp4#12.5-18, #1:05-1:20, #12.5- or #-18"
_TIME = r"(?:\d+:){0,2}\d+(?:\.\d*)?|\.\d+"
_SPAN = re.compile(rf"({_TIME})?-({_TIME})?", re.ASCII)
# Of a clip that counts as inside.
_MIN_SHARE = 0.5
# Rows of clips are rounded to so many decimals, and so may be the times that somebody copies from them.
_TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From one moment to another.

    Attributes:
        start_seconds: After the first frame, from 0.
        end_seconds: Greater; infinite where the span has no end of its own.
    """

    start_seconds: float
    end_seconds: float


def named_part(argument: str) -> tuple[str, TimeSpan | None]:
    """What an argument names: a path, or anything else that is asked for by name, and the part of it.

    Args:
        argument: `NAME` or `NAME#START-END`; what exists by its whole name is that, whatever the name holds.

    Returns:
        The name, and the span if one is given. A name that is not there may still be one of an index.

    Raises:
        UsageError: What is behind the `#` of a file is no part, or a part has no length.
    """
    name, mark, text = argument.rpartition("#")
    if not mark or not name or os.path.lexists(argument) or os.path.exists(named_path(argument)):  # noqa: PTH110  # False where a name is too long
        return argument, None
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        if os.path.isfile(named_path(name)):  # noqa: PTH113  # likewise
            raise UsageError(f"'{printable(text)}' of '{printable(argument)}' is no part of a video; {_FORM}")
        return argument, None
    if not any(found.groups()):
        raise UsageError(f"'{printable(argument)}' names a part without start and end; {_FORM}")
    start, end = found.groups()
    span = TimeSpan(_seconds(start, argument) if start else 0.0, _seconds(end, argument) if end else math.inf)
    if span.start_seconds >= span.end_seconds:
        raise UsageError(f"the part '{printable(argument)}' ends before it has begun; {_FORM}")
    return name, span


def clips_in_span(
    start_seconds: NDArray[np.float64], end_seconds: NDArray[np.float64], span: TimeSpan, *, source: str
) -> NDArray[np.int64]:
    """The clips that lie mostly in a span; where none does, the one that overlaps it most.

    Args:
        start_seconds: Of the clips of one video, `float64 [K]`, K ≥ 1.
        end_seconds: Likewise.
        span: May end after the video.
        source: The video, for messages.

    Returns:
        Positions, rising, `int64 [k]`, k ≥ 1.

    Raises:
        UsageError: The span begins where no clip is any more.
    """
    last = float(end_seconds.max())
    if span.start_seconds > 0 and span.start_seconds >= last - _TOLERANCE_S:
        raise UsageError(
            f"the part of '{printable(source)}' begins at {span.start_seconds:g} s, its last clip ends at {last:g} s; "
            "name an earlier part"
        )
    overlaps = np.minimum(end_seconds, span.end_seconds) - np.maximum(start_seconds, span.start_seconds)  # [K]
    lengths = end_seconds - start_seconds
    inside = np.flatnonzero(overlaps >= _MIN_SHARE * lengths - _TOLERANCE_S)
    return inside if len(inside) else np.array([overlaps.argmax()])


def clips_of_part(video: VideoEmbedding, span: TimeSpan) -> VideoEmbedding:
    """The same video with the clips of a part of it alone; raises like `clips_in_span`."""
    chosen = clips_in_span(video.start_seconds, video.end_seconds, span, source=video.video)
    return replace(
        video,
        start_seconds=video.start_seconds[chosen],
        end_seconds=video.end_seconds[chosen],
        embedding=video.embedding[chosen],
        blocks=video.blocks[chosen],
        probabilities=None if video.probabilities is None else video.probabilities[chosen],
    )


def _seconds(text: str, argument: str) -> float:
    """A time as it is written: `12.5`, `1:05`, `1:02:03.5`."""
    *larger, last = text.split(":")
    if larger and (float(last) >= 60 or any(float(part) >= 60 for part in larger[1:])):
        raise UsageError(f"'{printable(text)}' of '{printable(argument)}' has 60 or more seconds or minutes; {_FORM}")
    return float(last) + sum(60.0**power * float(part) for power, part in enumerate(reversed(larger), start=1))
