"""One video in a worker process: a single decoding pass makes all the views wanted of it.

Views that are made leave the process frame by frame, so its memory does not grow with the video's length. A user's own
view is held whole before it leaves, at its stored size: an hour of masks at 30 frames per second takes 2 GB.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import Frame, of_one_size, read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import FlowSpec
from cocon.video.own_views.lookup import read_own_view
from cocon.video.own_views.source import OwnSource, OwnVideo
from cocon.video.reading.viewed_frames import viewed_frames
from cocon.video.views import VIEWS
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat

__all__ = ["Order", "make_views_job"]

_FRAMES_PER_MESSAGE = 32

Arrays = dict[str, NDArray[Any]]
Facts = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Order:
    """What to make of one video.

    Attributes:
        path: the video.
        views: to be made.
        flow: what the flow view measures.
        sources: view → the user's own file or folder for it, and what they say of it.
        limits: how much of the file is read before it is refused.
    """

    path: Path
    views: tuple[str, ...]
    flow: FlowSpec
    sources: Mapping[str, OwnSource] = field(default_factory=dict)
    limits: MediaLimits = field(default_factory=MediaLimits)


def make_views_job(beat: Beat, order: Order) -> Iterator[Message]:
    """Make views of one video.

    Yields:
        Messages whose arrays are the next frames of views, `uint8 [n, h, w, C]`, or of key points
        `float16 [n, P, 17, 3]`, and their `seconds` `float64 [n]`. The last message has fields: `views`, which has of
        every view its `height` and `width` (for key points: of the picture that they refer to) and `num_with_person`
        (frames with a person, None where nobody was looked for), and `lost`, see `FrameStream`.

    Raises:
        VideoError: as `read_frames`, and if a user's own view does not fit the video.
    """
    frames = read_frames(order.path, order.limits, on_frame=beat)
    facts: dict[str, Facts] = {}
    waiting: list[Arrays] = []
    for row in _rows(of_one_size(frames), order, facts):
        waiting.append(row)
        if len(waiting) == _FRAMES_PER_MESSAGE:
            yield _stacked(waiting)
            waiting = []
    if waiting:
        yield _stacked(waiting)
    video = OwnVideo(frames.num_frames, frames.height, frames.width, order.flow.size_px, order.limits, beat)
    for view, source in order.sources.items():
        if view in order.views:
            yield from _own_view(view, source, video, facts)
    yield Message({"views": facts, "lost": frames.lost})


def _rows(frames: Iterator[Frame], order: Order, facts: dict[str, Facts]) -> Iterator[Arrays]:
    """Every frame in all views that are made from the pictures; what is known of them is added to `facts`."""
    made = [view for view in order.views if view not in order.sources]
    for frame in viewed_frames(frames, made, order.flow):
        row: Arrays = {"seconds": np.array(frame.seconds, np.float64)}
        for view in made:
            stored = frame.view(view)
            row[view] = stored.rows[0]
            known = facts.setdefault(view, _facts(stored.height, stored.width, None))
            if VIEWS[view].maker == "people":
                assert frame.people
                known["num_with_person"] = (known["num_with_person"] or 0) + frame.people.is_found
        yield row


def _stacked(rows: list[Arrays]) -> Message:
    return Message({}, {name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _own_view(view: str, source: OwnSource, video: OwnVideo, facts: dict[str, Facts]) -> Iterator[Message]:
    own = read_own_view(view, source, video)
    facts[view] = _facts(own.height, own.width, own.num_with_person)
    for start in range(0, video.num_frames, _FRAMES_PER_MESSAGE):
        yield Message({}, {view: own.rows[start : start + _FRAMES_PER_MESSAGE]})


def _facts(height: int, width: int, num_with_person: int | None) -> Facts:
    return {"height": height, "width": width, "num_with_person": num_with_person}
