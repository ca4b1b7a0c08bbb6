"""Views made of a stream of frames, in one pass.

    for frame in viewed_frames(read_frames(path), ("flow", "mask"), FlowSpec()):
        frame.seconds, frame.view("flow").pixels, frame.view("mask").pixels     # uint8 [1, h, w, C] each

| maker | made from | by |
|---|---|---|
| `decoding` | each frame | nothing more |
| `flow` | a frame and the one `interval_seconds` later | `estimate_flow`, only when it is asked for |
| `people` | every frame, since people are followed from frame to frame | `people_of`, once for all their views |

Every view comes in the form in which it would be stored, so that clips are the same whether their views were stored
before or not.
"""

import weakref
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.picture import Picture
from cocon.video.estimation.flow import FlowSpec, estimate_flow, with_later_frame
from cocon.video.estimation.people import People, people_of
from cocon.video.geometry import resize_short_side
from cocon.video.store.stored_view import StoredView
from cocon.video.views import VIEWS

__all__ = ["ViewedFrame", "viewed_frames"]

Pixels = NDArray[np.uint8]

_ONE_MOMENT = np.zeros(1)
# Reduced pictures that may wait, each with a frame of full size, for somebody to look at them. At 60 frames a second
# flow waits for four; a file may have its frames much nearer to each other.
_MAX_UNMADE = 16


@dataclass(frozen=True, slots=True)
class ViewedFrame:
    """One frame, and what its views are made from; what no view needs is None.

    Attributes:
        seconds: presentation time.
        flow: what a flow view measures.
        picture: the frame itself.
        reduced: the same at the size at which flow is measured.
        later: `reduced` of the frame one interval later.
        people: found in the frame.
    """

    seconds: float
    flow: FlowSpec
    picture: Picture | None = None
    reduced: Picture | None = None
    later: Picture | None = None
    people: People | None = None

    @property
    def pixels(self) -> Pixels:
        """RGB `uint8 [H, W, 3]` of the frame, where `rgb` is among the views."""
        assert self.picture is not None
        return self.picture.pixels

    def view(self, name: str) -> StoredView:
        """A view of this frame alone, as it would be stored; made now."""
        if VIEWS[name].content == "key points":
            assert self.people
            points = self.people.keypoints[None]
            return StoredView(name, _ONE_MOMENT, None, points, self.people.height, self.people.width, {})
        pixels = self._made_pixels(name)
        return StoredView(name, _ONE_MOMENT, pixels[None], None, pixels.shape[0], pixels.shape[1], {})

    def _made_pixels(self, name: str) -> Pixels:
        match VIEWS[name].maker:
            case "decoding":
                return self.pixels
            case "flow":
                assert self.reduced is not None
                assert self.later is not None
                return estimate_flow(self.reduced.pixels, self.later.pixels, self.flow)
            case "people":
                assert self.people
                return self.people.mask
            case "user":
                raise ValueError(f"view '{name}' cannot be made of pictures")


def viewed_frames(
    frames: Iterable[tuple[float, Pixels | Picture]], views: Collection[str], flow: FlowSpec
) -> Iterator[ViewedFrame]:
    """Follow the frames of a video.

    Args:
        frames: of one size, in order. Of pictures that are not made yet, only those are that a view is asked of.
        views: those that will be asked for; none of them the user's own. Full-size pictures are held only if `rgb` is
            among them.
        flow: what a flow view is to measure.

    Raises:
        MissingViewError: people are to be found, and MediaPipe is missing.
    """
    makers = {VIEWS[view].maker for view in views}
    followed = _with_people(_reduced(frames, makers, flow), makers)
    if "flow" not in makers:
        yield from followed
        return
    timed = ((frame.seconds, frame) for frame in followed)
    for _, (frame, later) in with_later_frame(timed, flow.interval_seconds):
        yield replace(frame, later=later.reduced)


def _reduced(
    frames: Iterable[tuple[float, Pixels | Picture]], makers: Collection[str], flow: FlowSpec
) -> Iterator[tuple[ViewedFrame, Picture]]:
    """Each frame as it will be kept, and its picture."""
    reduce = partial(resize_short_side, short_side_px=flow.size_px)
    latest: deque[weakref.ref[Picture]] = deque()
    for seconds, given in frames:
        picture = given if isinstance(given, Picture) else Picture.of(given)
        reduced = picture.changed(reduce) if "flow" in makers else None
        if reduced is not None:
            latest.append(weakref.ref(reduced))
        if len(latest) > _MAX_UNMADE and (waiting := latest.popleft()()) is not None:
            _ = waiting.pixels
        yield ViewedFrame(seconds, flow, picture if "decoding" in makers else None, reduced), picture


def _with_people(frames: Iterator[tuple[ViewedFrame, Picture]], makers: Collection[str]) -> Iterator[ViewedFrame]:
    if "people" not in makers:
        yield from (frame for frame, _ in frames)
        return
    taken: deque[ViewedFrame] = deque()

    def pictures() -> Iterator[tuple[float, Pixels]]:
        for frame, picture in frames:
            taken.append(frame)
            yield frame.seconds, picture.pixels

    for _, people in people_of(pictures()):
        yield replace(taken.popleft(), people=people)
