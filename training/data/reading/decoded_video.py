"""One video in the views that training and judging draw from.

Frames are resized once, to the short side of the view's geometry; poses stay key points until a clip is drawn.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import EmptyPartError, MissingViewError
from cocon.core.paths import why_no_file
from cocon.video.clips import ClipSpec, grid_indices, nearest_frames
from cocon.video.geometry import Geometry
from cocon.video.reading.live import ViewRequest, needed_views
from cocon.video.reading.people_tracks import PeopleTracks
from cocon.video.reading.whole_video import WholeVideo, are_within, whole_video
from cocon.video.store.archive import is_mapped
from cocon.video.store.dataset import VideoEntry, known_sha256
from cocon.video.store.files import check_shape, find_view, remedy, view_path
from cocon.video.store.npy_file import NpyFile, mapped
from cocon.video.store.stored_view import StoredView
from cocon.video.views import VIEWS
from cocon.video.workers.pool import WorkerPool

__all__ = ["DecodedVideo", "DecodedView", "load_video", "makers_here"]

Array = TypeVar("Array", bound=NDArray[Any])

# People are looked for once, beforehand, and not in every run: that is slower than training on what was found.
_MADE_HERE = ("decoding", "flow")


@dataclass(frozen=True, slots=True)
class DecodedView:
    """All frames of one view of one video, at the size that crops are cut from.

    Attributes:
        timestamps: seconds since the first frame, `float64 [F]`.
        pixels: `uint8 [F, H, W, C]`, or None for a pose.
        pose: the stored key points, or None.
        height: H.
        width: W.
    """

    timestamps: NDArray[np.float64]
    pixels: NDArray[np.uint8] | None
    pose: StoredView | None
    height: int
    width: int

    @property
    def num_bytes(self) -> int:
        """Memory or disk taken."""
        return self.rows.nbytes

    @property
    def rows(self) -> NDArray[np.uint8] | NDArray[np.float16]:
        """What there is of each frame: its pixels or its key points."""
        rows = self.pixels if self.pixels is not None else self.pose.rows if self.pose else None
        assert rows is not None
        return rows


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """One video in all the views that were asked for.

    `clock` has the times of all frames of the first view, where only some of them are kept.
    """

    entry: VideoEntry
    views: Mapping[str, DecodedView]
    clock: NDArray[np.float64] | None = None

    @property
    def timestamps(self) -> NDArray[np.float64]:
        """The clock that clips are cut by: that of the first view, `float64 [F]`."""
        return next(iter(self.views.values())).timestamps if self.clock is None else self.clock

    @property
    def num_bytes(self) -> int:
        """Memory taken."""
        return sum(view.num_bytes for view in self.views.values())


def load_video(
    entry: VideoEntry,
    root: Path,
    requests: Mapping[str, ViewRequest],
    workers: WorkerPool,
    *,
    into: Path | None = None,
    grid: ClipSpec | None = None,
    makes_people: bool = False,
) -> DecodedVideo:
    """Read every requested view of one video from the store, or make it from the pictures in a worker process.

    Of a part of a video no frame outside of it is read, and its first frame is at 0 s.

    Args:
        entry: the video, or the part.
        root: dataset folder with the store.
        requests: view → geometry and flow.
        workers: decode.
        into: an empty folder that takes the frames, `VIEW.npy` each, which are mapped from there; memory otherwise.
        grid: keep only the frames that clips of this geometry begin or go on with, counted from the first frame.
        makes_people: look for people where `pose` or `mask` are not stored.

    Raises:
        VideoError: the video cannot be decoded, a stored view is unfit, one is missing that is not made here, or the
            part has no frame.
        UsageError: the file does not exist.
        StorageError: the disk takes no more of what goes into the folder.
    """
    stored, problems = _stored_views(entry, root, requests, makers_here(makes_people=makes_people))
    live = {view: request for view, request in requests.items() if view not in stored and view not in problems}
    tracks = PeopleTracks.of((request.geometry for request in requests.values()), stored)
    for view in tracks.live_views:
        if view in problems:  # nobody can be followed
            raise problems[view]
    made: WholeVideo | None = None
    if live or tracks.live:  # a video that does not decode has no other problem
        made = whole_video(
            entry.path,
            live,
            workers,
            begin_seconds=entry.start_seconds,
            end_seconds=entry.end_seconds,
            into=into,
            grid=grid,
            followings=tracks.followings,
            tracks=tracks.known,
        )
    for problem in problems.values():
        raise problem
    if made is not None:
        for kept in stored.values():
            check_shape(root, entry.store_id, kept, made.shape)
        tracks = PeopleTracks(tracks.followings, [*tracks.known, *made.tracks])
    return _together(entry, requests, stored, made, into, grid, tracks)


def makers_here(*, makes_people: bool) -> tuple[str, ...]:
    """Makers (`VIEWS[view].maker`) of the views that need not be stored, with or without those of people."""
    return (*_MADE_HERE, "people") if makes_people else _MADE_HERE


def _together(
    entry: VideoEntry,
    requests: Mapping[str, ViewRequest],
    stored: Mapping[str, StoredView],
    made: WholeVideo | None,
    into: Path | None,
    grid: ClipSpec | None,
    tracks: PeopleTracks,
) -> DecodedVideo:
    """What was stored and what was made of one video, on one clock; arguments as of `load_video`."""
    first = next(iter(requests))
    clock = _seconds_within(stored[first], entry) if made is None or first in stored else made.timestamps
    moments = None if grid is None else clock[grid_indices(clock, grid)]
    begin = float(clock[0])
    views: dict[str, DecodedView] = {}
    for view, request in requests.items():
        if made is None or view in stored:
            decoded = _from_store(stored[view], entry, request, moments, into, tracks)
        else:
            decoded = _of_made(made.views[view], request)
        views[view] = replace(decoded, timestamps=decoded.timestamps - begin)
    return DecodedVideo(entry, views, None if grid is None else clock - begin)


def _stored_views(
    entry: VideoEntry, root: Path, requests: Mapping[str, ViewRequest], makers: Collection[str]
) -> tuple[dict[str, StoredView], dict[str, MissingViewError]]:
    """What the store has of a video, and why those views cannot be had that it has not and these makers do not make."""
    is_stored = any(view_path(root, view, entry.store_id).is_file() for view in needed_views(requests))
    digest = known_sha256(entry.path) if is_stored and not why_no_file(entry.path) else None
    stored: dict[str, StoredView] = {}
    problems: dict[str, MissingViewError] = {}
    for view, flow in needed_views(requests).items():
        try:
            if kept := find_view(root, view, entry.store_id, flow, content_sha256=digest):
                stored[view] = kept
            elif VIEWS[view].maker not in makers:
                raise MissingViewError(
                    f"view '{view}' of video '{entry.store_id}' is not stored under '{root / 'views'}';"
                    f" make it: {remedy(root, view)} --view {view}"
                )
        except MissingViewError as error:
            problems[view] = error
    return stored, problems


def _seconds_within(stored: StoredView, entry: VideoEntry) -> NDArray[np.float64]:
    """Times of the stored frames that an entry means, after the first one of all."""
    seconds = stored.timestamps - stored.timestamps[0]
    chosen = seconds[are_within(seconds, entry.start_seconds, entry.end_seconds)]
    if not len(chosen):
        raise EmptyPartError(
            f"view '{stored.view}' of part '{entry.video_id}' has no frame; the video ends at {seconds[-1]:g} s"
        )
    return chosen


def _from_store(
    stored: StoredView,
    entry: VideoEntry,
    request: ViewRequest,
    moments: NDArray[np.float64] | None,
    into: Path | None,
    tracks: PeopleTracks,
) -> DecodedView:
    """The frames that an entry means, or of these only the nearest to some moments, if given.

    Uncompressed frames of the size that is wanted are all kept; many are not copied: they are mapped where they are
    stored.
    """
    seconds = _seconds_within(stored, entry)
    begin = int(np.searchsorted(stored.timestamps - stored.timestamps[0], seconds[0]))
    part = slice(begin, begin + len(seconds))
    if request.geometry.following is not None:
        return _followed(stored, begin, seconds, request.geometry, moments, into, tracks)
    height, width = request.geometry.resized_shape(stored.height, stored.width)
    if stored.keypoints is not None:
        pose = replace(stored, timestamps=stored.timestamps[part].copy(), keypoints=_alone(stored.keypoints[part]))
        return DecodedView(seconds, None, pose, height, width)
    assert stored.pixels is not None
    if (stored.height, stored.width) == (height, width) and isinstance(stored.pixels, np.ndarray):
        return DecodedView(seconds, _alone(stored.pixels[part]), None, height, width)
    chosen = _chosen(seconds, moments)
    frames = (stored.frames([frame], height=height, width=width)[0] for frame in begin + chosen)
    return DecodedView(seconds[chosen], _gathered(frames, stored.view, into), None, height, width)


def _followed(
    stored: StoredView,
    begin: int,
    seconds: NDArray[np.float64],
    geometry: Geometry,
    moments: NDArray[np.float64] | None,
    into: Path | None,
    tracks: PeopleTracks,
) -> DecodedView:
    """The windows around people in the frames from `begin` on, which are at these `seconds`; else as `_from_store`."""
    assert geometry.following is not None
    chosen, side = _chosen(seconds, moments), geometry.resize_px
    windows = [tracks.at(geometry.following, float(seconds[place])) for place in chosen]
    if stored.keypoints is not None:
        return DecodedView(seconds[chosen], None, stored.within(begin + chosen, windows, side), side, side)
    parts = (stored.within([begin + place], [window], side) for place, window in zip(chosen, windows, strict=True))
    pixels = _gathered((part.frames([0], height=side, width=side)[0] for part in parts), stored.view, into)
    return DecodedView(seconds[chosen], pixels, None, side, side)


def _chosen(seconds: NDArray[np.float64], moments: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """Numbers of the frames nearest to some moments, of all if none are given."""
    return np.arange(len(seconds)) if moments is None else np.unique(nearest_frames(seconds, moments))


def _alone(rows: Array) -> Array:
    """Rows without the others of their array, which they would keep in memory."""
    return rows if is_mapped(rows) else rows.copy()


def _gathered(frames: Iterable[NDArray[np.uint8]], view: str, into: Path | None) -> NDArray[np.uint8]:
    if into is None:
        return np.stack(list(frames))
    path = into / f"{view}.npy"
    with NpyFile(path) as file:
        for frame in frames:
            file.add(frame)
    return mapped(path)


def _of_made(made: StoredView, request: ViewRequest) -> DecodedView:
    """A view that was made at the size that is wanted, or as key points."""
    height, width = request.geometry.resized_shape(made.height, made.width)
    return DecodedView(made.timestamps, made.pixels, made if made.keypoints is not None else None, height, width)
