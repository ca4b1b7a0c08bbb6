"""Where people are in a video that models follow them in: by its stored views, and else as its frames come.

    tracks = PeopleTracks.of((request.geometry for request in requests.values()), {"pose": stored_pose})
    for frame, windows in tracks.windowed(viewed_frames(frames, {*requests, *tracks.live_views}, flow)):
        frame.view("rgb").within([0], [windows[following]], side_px)

Where boxes come with the frames, frames wait for those that come after them, by which their windows are smoothed.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.video.following.boxes import box_of
from cocon.video.following.rule import Following
from cocon.video.following.windows import PictureWindow, WindowTrack
from cocon.video.geometry import Geometry, centre_crop
from cocon.video.reading.viewed_frames import ViewedFrame
from cocon.video.store.stored_view import StoredView

__all__ = ["PeopleTracks", "StoredFrames", "followings_of"]

Pixels = NDArray[np.uint8]

# A stored view of other times than the video's may be asked for a moment so much earlier than the frame beside it.
_ASKED_LATE_S = 5.0


def followings_of(geometries: Iterable[Geometry]) -> tuple[Following, ...]:
    """How people are followed for views of these geometries, each way once."""
    return tuple(dict.fromkeys(one.following for one in geometries if one.following is not None))


def _stored_track(following: Following, stored: StoredView) -> WindowTrack:
    """The windows of a video by the view that is stored of it, `following.by`."""
    track = WindowTrack(following)
    begin = float(stored.timestamps[0])
    for seconds, row in zip(stored.timestamps, stored.rows, strict=True):
        box = box_of(following.by, row, stored.height, stored.width)
        track.add(float(seconds) - begin, box, stored.height, stored.width)
    return track


class StoredFrames:
    """Stored frames as models see them, one moment after the other.

    Args:
        stored: the view.
        geometry: spatial rule.
        tracks: where people are, if they are followed.
    """

    def __init__(self, stored: StoredView, geometry: Geometry, tracks: "PeopleTracks") -> None:
        self._stored, self._geometry, self._tracks = stored, geometry, tracks
        self._latest: tuple[int, Pixels] | None = None

    def at(self, seconds: float) -> Pixels:
        """The frame nearest to a moment, `uint8 [crop_px, crop_px, C]`; the last one behind the end."""
        index = self._stored.nearest(seconds)
        if self._latest is None or self._latest[0] != index:
            self._latest = index, centre_crop(self._resized(index), self._geometry.crop_px)
        return self._latest[1]

    def _resized(self, index: int) -> Pixels:
        stored, geometry, indices = self._stored, self._geometry, [index]
        if geometry.following is not None:
            seconds = float(stored.timestamps[index] - stored.timestamps[0])
            window = self._tracks.at(geometry.following, seconds)
            stored, indices = stored.within(indices, [window], geometry.resize_px), [0]
        height, width = geometry.resized_shape(stored.height, stored.width)
        return stored.frames(indices, height=height, width=width)[0]


class PeopleTracks:
    """The windows of one video, in every way in which people are followed.

    Args:
        followings: these ways.
        known: windows by stored views; the others are found as frames come.
        is_kept: keep what was found of all frames, not only of those that are being read.

    Attributes:
        live_views: views that each frame is asked for to find people in it.
    """

    def __init__(
        self, followings: Collection[Following], known: Iterable[WindowTrack] = (), *, is_kept: bool = False
    ) -> None:
        of_stored = {track.following: track for track in known}
        self._live = {following: WindowTrack(following) for following in followings if following not in of_stored}
        self._tracks = {following: of_stored.get(following) or self._live[following] for following in followings}
        self._is_kept = is_kept
        self.live_views = tuple(dict.fromkeys(following.by for following in self._live))

    @classmethod
    def of(cls, geometries: Iterable[Geometry], people: Mapping[str, StoredView]) -> Self:
        """For views of these geometries.

        Args:
            geometries: theirs.
            people: stored views by which people may be followed.
        """
        followings = followings_of(geometries)
        return cls(followings, [_stored_track(one, people[one.by]) for one in followings if one.by in people])

    @property
    def followings(self) -> tuple[Following, ...]:
        """All ways in which people are followed."""
        return tuple(self._tracks)

    @property
    def known(self) -> tuple[WindowTrack, ...]:
        """The windows that no frame need be looked at for."""
        return tuple(track for following, track in self._tracks.items() if following not in self._live)

    @property
    def live(self) -> tuple[WindowTrack, ...]:
        """What was found as frames came."""
        return tuple(self._live.values())

    def at(self, following: Following, seconds: float) -> PictureWindow:
        """The window of a moment, by what is known so far."""
        return self._tracks[following].at(seconds)

    def windowed(
        self, frames: Iterable[ViewedFrame]
    ) -> Iterator[tuple[ViewedFrame, Mapping[Following, PictureWindow]]]:
        """Every frame with its windows, as soon as no later frame changes them."""
        waiting: deque[ViewedFrame] = deque()
        for frame in frames:
            self._look_at(frame)
            waiting.append(frame)
            while waiting and all(track.is_known(waiting[0].seconds) for track in self._live.values()):
                yield self._taken(waiting)
        while waiting:
            yield self._taken(waiting)

    def _look_at(self, frame: ViewedFrame) -> None:
        for following, track in self._live.items():
            found = frame.view(following.by)
            box = box_of(following.by, found.rows[0], found.height, found.width)
            track.add(frame.seconds, box, found.height, found.width)

    def _taken(self, waiting: deque[ViewedFrame]) -> tuple[ViewedFrame, Mapping[Following, PictureWindow]]:
        frame = waiting.popleft()
        windows = {following: track.at(frame.seconds) for following, track in self._tracks.items()}
        if not self._is_kept:
            for track in self._live.values():
                track.forget_before(frame.seconds - _ASKED_LATE_S)
        return frame, windows
