"""Views made for a model from the pictures themselves, in the pass that decodes them, and those that are stored."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.decoding.picture import Picture
from cocon.video.estimation.flow import FlowSpec
from cocon.video.estimation.identity import MADE_BY, difference, identity_of
from cocon.video.estimation.people import check_people_available
from cocon.video.following.rule import Following
from cocon.video.following.windows import PictureWindow
from cocon.video.geometry import Geometry, resize_short_side
from cocon.video.reading.people_tracks import PeopleTracks
from cocon.video.reading.viewed_frames import ViewedFrame, viewed_frames
from cocon.video.store.files import find_view, remedy
from cocon.video.store.stored_view import StoredView
from cocon.video.views import VIEWS

__all__ = [
    "LiveFrame",
    "PeopleCount",
    "ViewRequest",
    "differences",
    "live_frames",
    "makers",
    "needed_views",
    "stored_or_missing",
]

Pixels = NDArray[np.uint8]

# Windows are cut out of pictures of at most so many lines; a quarter of them is more than models look at.
_MOST_LINES = 1080


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """What a model wants of a view.

    Attributes:
        geometry: spatial rule; it says whether people are followed.
        flow: what the flow view measures; None for the others.
        made_by: who made the views of what this one is to be compared with; empty where that is not known.
        reference: what that is, see `identity.difference`.
        people_by: likewise who found the people that it follows.
    """

    geometry: Geometry
    flow: FlowSpec | None = None
    made_by: tuple[str, ...] = ()
    reference: str = "the model learned from"
    people_by: tuple[str, ...] = ()


def needed_views(requests: Mapping[str, ViewRequest]) -> dict[str, FlowSpec | None]:
    """View → what its flow must measure, of those that are wanted and those by which people are followed for them."""
    by = [request.geometry.following.by for request in requests.values() if request.geometry.following]
    return {view: request.flow for view, request in requests.items()} | dict.fromkeys(set(by) - set(requests))


@dataclass(slots=True)
class PeopleCount:
    """How often somebody was found, counted while frames are taken."""

    num_frames: int = 0
    num_found: int = 0


@dataclass(slots=True)
class LiveFrame:
    """One frame of the video that is being decoded, in the views that a model wants.

    Attributes:
        frame: what they are made from.
        requests: view → what is wanted.
        windows: the part of it that is looked at, by how people are followed.
    """

    frame: ViewedFrame
    requests: Mapping[str, ViewRequest]
    windows: Mapping[Following, PictureWindow]
    _made: dict[str, Pixels] = field(default_factory=dict)

    def pixels(self, view: str) -> Pixels:
        """A view `uint8 [h, w, C]` whose short side is the request's `resize_px`.

        It is made when it is first asked for: a frame that is asked again, as in a slow or paused video, costs nothing.
        """
        if view not in self._made:
            stored = self.stored(view)
            height, width = self.requests[view].geometry.resized_shape(stored.height, stored.width)
            self._made[view] = stored.frames([0], height=height, width=width)[0]
        return self._made[view]

    def stored(self, view: str) -> StoredView:
        """A view of this frame alone, as it would be stored; where people are followed, of the window around them."""
        geometry, whole = self.requests[view].geometry, self.frame.view(view)
        if geometry.following is None:
            return whole
        return whole.within([0], [self.windows[geometry.following]], geometry.resize_px)


def live_frames(
    frames: Iterable[tuple[float, Pixels | Picture]],
    requests: Mapping[str, ViewRequest],
    count: PeopleCount,
    tracks: PeopleTracks | None = None,
) -> Iterator[tuple[float, LiveFrame]]:
    """Make views of one stream of frames.

    Args:
        frames: of one video; of pictures that are not made yet, only those are that a view is asked of.
        requests: view → what is wanted.
        count: filled in when a person is looked for.
        tracks: where people are, for all ways in which they are followed; looked for in the frames by default.

    Yields:
        (presentation time in seconds, the frame's views) of every frame.
    """
    flow = next((request.flow for request in requests.values() if request.flow), FlowSpec())
    tracks = tracks or PeopleTracks.of((request.geometry for request in requests.values()), {})
    viewed = viewed_frames(frames, {*requests, *tracks.live_views}, flow)
    if "rgb" in requests and requests["rgb"].geometry.following is not None:
        viewed = map(_reduced, viewed)
    for frame, windows in tracks.windowed(viewed):
        if frame.people:
            count.num_frames += 1
            count.num_found += frame.people.is_found
        yield frame.seconds, LiveFrame(frame, requests, windows)


def stored_or_missing(
    root: Path,
    video_id: str,
    flows: Mapping[str, FlowSpec | None],
    *,
    content_sha256: str | None,
    shape: tuple[int, int] | None = None,
    on_progress: Callable[[], None] | None,
) -> tuple[dict[str, StoredView], dict[str, str]]:
    """What the store has of a video, and why those views cannot be had that are neither stored nor can be made.

    Args:
        root: dataset folder.
        video_id: whose views.
        flows: view → what a flow must measure, None for any and for the other views.
        content_sha256: as for `store.find_view`.
        shape: likewise.
        on_progress: likewise.
    """
    stored: dict[str, StoredView] = {}
    missing: dict[str, str] = {}
    for view, flow in flows.items():
        try:
            kept = find_view(
                root, view, video_id, flow, content_sha256=content_sha256, shape=shape, on_progress=on_progress
            )
            if kept:
                stored[view] = kept
            else:
                _check_can_be_made(root, video_id, view)
        except MissingViewError as error:
            missing[view] = str(error)
    return stored, missing


def differences(
    requests: Mapping[str, ViewRequest],
    stored: Mapping[str, StoredView],
    live: Collection[str],
    people: Mapping[str, StoredView],
) -> list[str]:
    """What there is to say of views that others make, or made, than those that the model learned from.

    Args:
        requests: view → what is wanted.
        stored: view → what the store has.
        live: the views that are made here.
        people: view → what the store has of it, of those that say where the people are who are followed.
    """
    made_by = makers(requests, stored, live)
    said = (
        difference(
            f"{'stored ' * (view in stored)}view '{view}'",
            made_by.get(view),
            requests[view].made_by,
            requests[view].reference,
        )
        for view in [*live, *stored]
    )
    found = (_people_difference(requests[view], people) for view in [*live, *stored])
    return list(dict.fromkeys(sentence for sentence in [*said, *found] if sentence))


def _people_difference(request: ViewRequest, people: Mapping[str, StoredView]) -> str:
    """As `differences`, of those who found the people whom a view follows."""
    if (following := request.geometry.following) is None:
        return ""
    by = following.by
    made_by = people[by].attributes.get(MADE_BY) if by in people else identity_of(by)
    reference = "the model followed people by that of"
    return difference(f"view '{by}', by which people are followed,", made_by, request.people_by, reference)


def makers(
    requests: Mapping[str, ViewRequest], stored: Mapping[str, StoredView], live: Collection[str]
) -> dict[str, str]:
    """View → who makes it, or made it; those left out of which nobody knows. Arguments as of `differences`."""
    found: dict[str, object] = {view: identity_of(view, requests[view].flow) for view in live}
    found |= {view: kept.attributes.get(MADE_BY) for view, kept in stored.items()}
    return {view: maker for view, maker in found.items() if isinstance(maker, str)}


def _reduced(frame: ViewedFrame) -> ViewedFrame:
    """A frame whose picture takes little memory while it waits for its window."""
    assert frame.picture is not None
    return replace(frame, picture=frame.picture.changed(_few_lines))


def _few_lines(pixels: Pixels) -> Pixels:
    return resize_short_side(pixels, min(_MOST_LINES, *pixels.shape[:2]))


def _check_can_be_made(root: Path, video_id: str, view: str) -> None:
    match VIEWS[view].maker:
        case "people":
            check_people_available()
        case "user":
            problem = f"view '{view}' of video '{video_id}' is not stored in '{root / 'views'}', and has no estimator"
            raise MissingViewError(f"{problem}; bring your own: {remedy(root, view)}")
