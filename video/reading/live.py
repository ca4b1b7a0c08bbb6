"""Views made from the pictures themselves, in the pass that decodes them.

A view that is made while reading goes through the form in which it would be stored, so that clips are the same whether
their views were stored before or not.

| view | made from | by |
|---|---|---|
| `rgb` | each frame | decoding |
| `flow` | a frame and the one `interval_seconds` later | `flow.estimate_flow`, only where a clip needs it |
| `pose`, `mask` | every frame, since people are followed from frame to frame | `people.people_of`, once for both |
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.decoding.frames import Frame
from cocon.video.estimation.flow import FlowSpec, estimate_flow, with_later_frame
from cocon.video.estimation.people import People, check_people_available, people_of
from cocon.video.geometry import Geometry, resize_short_side, resized_shape
from cocon.video.reading.branches import branches
from cocon.video.store.files import find_view
from cocon.video.store.stored_view import StoredView

__all__ = ["LiveView", "PeopleCount", "ViewRequest", "live_views", "stored_or_missing"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """What a model wants of a view.

    Attributes:
        geometry: spatial rule.
        flow: what the flow view measures; None for the others.
    """

    geometry: Geometry
    flow: FlowSpec | None = None


@dataclass(slots=True)
class PeopleCount:
    """How often somebody was found, counted while frames are taken."""

    num_frames: int = 0
    num_found: int = 0


@dataclass(frozen=True, slots=True)
class LiveView:
    """One view of the video that is being decoded.

    Attributes:
        items: (seconds, what the view of that frame is made from) of every frame.
        finish: an item → `uint8 [h, w, C]` whose short side is the request's `resize_px`.
    """

    items: Iterator[tuple[float, Any]]
    finish: Callable[[Any], Pixels]


_ONE_MOMENT = np.zeros(1)


def live_views(frames: Iterator[Frame], requests: Mapping[str, ViewRequest], count: PeopleCount) -> dict[str, LiveView]:
    """Make views of one stream of frames; they must be taken side by side, or the frames between them pile up.

    Args:
        frames: of one video.
        requests: view → what is wanted.
        count: filled in when a person is looked for.
    """
    makers = [view for view in ("rgb", "flow") if view in requests]
    people = [view for view in ("pose", "mask") if view in requests]
    pictures = iter(branches(frames, len(makers) + bool(people)))
    live = {view: _MAKERS[view](next(pictures), requests[view]) for view in makers}
    if people:
        found = branches(_counted(people_of(next(pictures)), count), len(people))
        live |= {view: _of_people(view, items, requests[view]) for view, items in zip(people, found, strict=True)}
    return {view: replace(live[view], finish=_once(live[view].finish)) for view in requests}


def stored_or_missing(
    root: Path,
    video_id: str,
    flows: Mapping[str, FlowSpec | None],
    *,
    content_sha256: str | None,
    on_progress: Callable[[], None] | None,
) -> tuple[dict[str, StoredView], dict[str, str]]:
    """What the store has of a video, and why those views cannot be had that are neither stored nor can be made.

    Args:
        root: dataset folder.
        video_id: whose views.
        flows: view → what a flow must measure, None for any and for the other views.
        content_sha256: as for `store.find_view`.
        on_progress: likewise.
    """
    stored: dict[str, StoredView] = {}
    missing: dict[str, str] = {}
    for view, flow in flows.items():
        try:
            kept = find_view(root, view, video_id, flow, content_sha256=content_sha256, on_progress=on_progress)
            if kept:
                stored[view] = kept
            elif view in ("pose", "mask"):
                check_people_available()
        except MissingViewError as error:
            missing[view] = str(error)
    return stored, missing


def _once(finish: Callable[[Any], Pixels]) -> Callable[[Any], Pixels]:
    """The same, but an item that comes again at once, as in a slow or paused video, costs nothing."""
    last: tuple[Any, Pixels] | None = None

    def finish_once(item: Any) -> Pixels:  # noqa: ANN401  # whatever the view is made from
        nonlocal last
        if last is None or last[0] is not item:
            last = item, finish(item)
        return last[1]

    return finish_once


def _rgb(frames: Iterator[Frame], request: ViewRequest) -> LiveView:
    return LiveView(frames, lambda pixels: resize_short_side(pixels, request.geometry.resize_px))


def _flow(frames: Iterator[Frame], request: ViewRequest) -> LiveView:
    spec = request.flow or FlowSpec()
    small = ((seconds, resize_short_side(pixels, spec.size_px)) for seconds, pixels in frames)

    def finish(pair: tuple[Pixels, Pixels]) -> Pixels:
        return _as_read(_stored_pixels("flow", estimate_flow(*pair, spec)), request)

    return LiveView(with_later_frame(small, spec.interval_seconds), finish)


def _of_people(view: str, items: Iterator[tuple[float, People]], request: ViewRequest) -> LiveView:
    store = _stored_pose if view == "pose" else _stored_mask
    return LiveView(items, lambda people: _as_read(store(people), request))


def _stored_pose(people: People) -> StoredView:
    return StoredView("pose", _ONE_MOMENT, None, people.keypoints[None], people.height, people.width, {})


def _stored_mask(people: People) -> StoredView:
    return _stored_pixels("mask", people.mask)


def _stored_pixels(view: str, pixels: Pixels) -> StoredView:
    return StoredView(view, _ONE_MOMENT, pixels[None], None, pixels.shape[0], pixels.shape[1], {})


def _as_read(stored: StoredView, request: ViewRequest) -> Pixels:
    """A view's only frame, read back from the store at the request's size."""
    height, width = resized_shape(stored.height, stored.width, request.geometry.resize_px)
    return stored.frames([0], height=height, width=width)[0]


def _counted(people: Iterator[tuple[float, People]], count: PeopleCount) -> Iterator[tuple[float, People]]:
    for seconds, found in people:
        count.num_frames += 1
        count.num_found += found.is_found
        yield seconds, found


_MAKERS: dict[str, Callable[[Iterator[Frame], ViewRequest], LiveView]] = {"rgb": _rgb, "flow": _flow}
