"""One video in a worker process: a single decoding pass makes all the views wanted of it.

Views that are made leave the process frame by frame, so its memory does not grow with the video's length. A user's own
view is held whole before it leaves, at its stored size: an hour of masks at 30 frames per second takes 2 GB.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import Frame, read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.decoding.one_size import of_one_size
from cocon.video.estimation.flow import FlowSpec, estimate_flow, with_later_frame
from cocon.video.estimation.people import People, people_of
from cocon.video.geometry import resize_short_side
from cocon.video.own_views.lookup import user_flow, user_keypoints, user_masks
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat

__all__ = ["Order", "make_views_job"]

_FRAMES_PER_MESSAGE = 32
_IS_PERSON = 128

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Order:
    """What to make of one video.

    Attributes:
        path: the video.
        views: to be made.
        flow: what the flow view measures.
        sources: view → the user's own file or folder for it.
        limits: how much of the file is read before it is refused.
    """

    path: Path
    views: tuple[str, ...]
    flow: FlowSpec
    sources: Mapping[str, Path] = field(default_factory=dict)
    limits: MediaLimits = field(default_factory=MediaLimits)

    def estimates(self, *views: str) -> bool:
        """Whether any of some views is to be made from the pictures."""
        return any(view in self.views and view not in self.sources for view in views)


@dataclass(slots=True)
class _Found:
    """What the views of a video leave to be known.

    Attributes:
        picture: height and width of the video's frames.
        height: that key points refer to.
        width: likewise.
        num_found: view → frames with a person.
    """

    picture: tuple[int, int] = (0, 0)
    height: int = 0
    width: int = 0
    num_found: dict[str, int] = field(default_factory=dict)


def make_views_job(beat: Beat, order: Order) -> Iterator[Message]:
    """Make views of one video.

    Yields:
        Messages whose arrays are the next frames of views: `flow`, `mask` `uint8 [n, h, w, C]`, `pose`
        `float16 [n, P, 17, 3]`, and their `seconds` `float64 [n]`. The last message has fields: `height` and `width`
        that key points refer to, `num_found` (view → frames with a person), and `lost`, see `FrameStream`.

    Raises:
        VideoError: as `read_frames`, and if a user's own view does not fit the video.
    """
    frames = read_frames(order.path, order.limits, on_frame=beat)
    found = _Found()
    waiting: list[Arrays] = []
    for row in _rows(_noting_size(of_one_size(frames), found), order, found):
        waiting.append(row)
        if len(waiting) == _FRAMES_PER_MESSAGE:
            yield _stacked(waiting)
            waiting = []
    if waiting:
        yield _stacked(waiting)
    for view, source in order.sources.items():
        if view in order.views:
            yield from _user_view(beat, view, source, order, frames.num_frames, found)
    yield Message({"height": found.height, "width": found.width, "num_found": found.num_found, "lost": frames.lost})


def _noting_size(frames: Iterator[Frame], found: _Found) -> Iterator[Frame]:
    for seconds, pixels in frames:
        if not found.height:
            found.picture = found.height, found.width = pixels.shape[0], pixels.shape[1]
        yield seconds, pixels


def _rows(frames: Iterator[Frame], order: Order, found: _Found) -> Iterator[Arrays]:
    """Every frame in all views that are made from the pictures."""
    people: deque[People] = deque()
    pictures = _with_people(frames, order, people)
    if order.estimates("flow"):
        for seconds, (first, later) in with_later_frame(pictures, order.flow.interval_seconds):
            yield _row(seconds, people, order, found) | {"flow": estimate_flow(first, later, order.flow)}
    else:
        for seconds, _ in pictures:
            yield _row(seconds, people, order, found)


def _with_people(frames: Iterator[Frame], order: Order, people: "deque[People]") -> Iterator[Frame]:
    """Frames, reduced to the size at which flow is measured, after whom `people` has who is in them."""
    reduced: deque[NDArray[np.uint8]] = deque()

    def taking_reduced() -> Iterator[Frame]:
        for seconds, pixels in frames:
            reduced.append(resize_short_side(pixels, order.flow.size_px) if order.estimates("flow") else pixels)
            yield seconds, pixels

    if not order.estimates("pose", "mask"):
        yield from ((seconds, reduced.popleft()) for seconds, _ in taking_reduced())
        return
    for seconds, person in people_of(taking_reduced()):
        people.append(person)
        yield seconds, reduced.popleft()


def _row(seconds: float, people: "deque[People]", order: Order, found: _Found) -> Arrays:
    row: Arrays = {"seconds": np.array(seconds, np.float64)}
    if not people:
        return row
    person = people.popleft()
    parts: Arrays = {"pose": person.keypoints, "mask": person.mask}
    for view in filter(order.estimates, parts):
        row[view] = parts[view]
        found.num_found[view] = found.num_found.get(view, 0) + person.is_found
    if "pose" in row:
        found.height, found.width = person.height, person.width
    return row


def _stacked(rows: list[Arrays]) -> Message:
    return Message({}, {name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _user_view(beat: Beat, view: str, source: Path, order: Order, num_frames: int, found: _Found) -> Iterator[Message]:
    video = {"num_frames": num_frames, "height": found.picture[0], "width": found.picture[1]}
    pixels: NDArray[Any]
    if view == "flow":
        pixels = user_flow(source, **video, size_px=order.flow.size_px, limits=order.limits, on_frame=beat)
    elif view == "mask":
        pixels = user_masks(source, **video, limits=order.limits, on_frame=beat)
        found.num_found[view] = int((pixels >= _IS_PERSON).any(axis=(1, 2, 3)).sum())
    else:
        pixels, found.height, found.width = user_keypoints(source, **video)
        found.num_found[view] = int((pixels[..., 2] > 0).any(axis=(1, 2)).sum())
    for start in range(0, num_frames, _FRAMES_PER_MESSAGE):
        yield Message({}, {view: pixels[start : start + _FRAMES_PER_MESSAGE]})
