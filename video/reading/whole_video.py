"""All frames of a video, or of a part of it, in several views: for training and judging, which choose among them.

    whole = whole_video(Path("video.mp4"), requests, workers)
    whole.timestamps, whole.views["rgb"].pixels                 # float64 [F], uint8 [F, H, W, 3]

    part = whole_video(path, requests, workers, begin_seconds=3600, end_seconds=3660, into=Path("folder"))

**A part** has the frames that one pass over the whole file gives for it, at the same times after the first frame of the
file, without decoding what comes before the key frame ahead of it where that is sure (`video/seeking/`). `rgb` and
`flow` are the same bytes; frames behind the end are read for the flow of the last ones. People are followed from frame
to frame, here from two seconds before the part on: the estimator looks for somebody a little off where it would have
looked, so `pose` and `mask` are near to those of one pass, and not the same. In two real videos visible key points
moved by 0.05 % of the picture's height in the median, nineteen of twenty by less than 1.1 %. The same holds for the
windows of people who are followed without a stored view; by a stored one they are the same.

**Into a folder** the arrays are written as they are made, one file each, and mapped from there by whoever wants them:
memory does not grow with the video, and nothing is sent or copied between processes.
"""

import math
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import EmptyPartError, UnreadableVideoError
from cocon.core.printable import printable
from cocon.video.clips import ClipSpec, resample
from cocon.video.decoding.limits import MediaLimits
from cocon.video.decoding.picture import Picture
from cocon.video.following.rule import Following
from cocon.video.following.windows import WindowTrack
from cocon.video.geometry import resize
from cocon.video.reading.live import LiveFrame, PeopleCount, ViewRequest, live_frames
from cocon.video.reading.people_tracks import PeopleTracks, followings_of
from cocon.video.seeking.finding import MomentFinder, ways_to
from cocon.video.seeking.ways import UnsureError
from cocon.video.store.npy_file import NpyFile, mapped
from cocon.video.store.stored_view import StoredView
from cocon.video.views import VIEWS
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool

if TYPE_CHECKING:
    from cocon.video.seeking.finding import Way

__all__ = ["WholeVideo", "are_within", "whole_video"]

Seconds = TypeVar("Seconds", float, NDArray[np.float64])

# Parts are written to so many decimals.
_TOLERANCE_S = 1e-6
# People are followed from so much before a part.
_FOLLOWED_S = 2.0


@dataclass(frozen=True, slots=True)
class WholeVideo:
    """A video or a part of it in several views.

    Attributes:
        timestamps: of all its frames, seconds after the first frame of the file, `float64 [F]`.
        views: view → its frames, at the short side that was asked for, or key points. They have times of their own,
            which are those of `timestamps` unless only frames of a grid were wanted.
        shape: height and width of the file's pictures.
        tracks: where people are who are followed, as far as that was found here.
    """

    timestamps: NDArray[np.float64]
    views: Mapping[str, StoredView]
    shape: tuple[int, int]
    tracks: tuple[WindowTrack, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a worker process is to make of a video; arguments of `whole_video`."""

    path: Path
    requests: Mapping[str, ViewRequest]
    begin_seconds: float
    end_seconds: float
    into: Path | None
    grid: ClipSpec | None
    followings: tuple[Following, ...]
    tracks: tuple[WindowTrack, ...]

    @property
    def decoded_from(self) -> float:
        """The moment from which pictures are wanted, seconds after the first frame."""
        unknown = set(self.followings) - {track.following for track in self.tracks}
        lead = max((following.lead_seconds for following in unknown), default=0.0)
        is_found = bool(unknown) or any(VIEWS[view].maker == "people" for view in self.requests)
        return self.begin_seconds - _TOLERANCE_S - lead - (_FOLLOWED_S if is_found else 0.0)


def whole_video(
    path: Path,
    requests: Mapping[str, ViewRequest],
    workers: WorkerPool,
    *,
    begin_seconds: float = 0.0,
    end_seconds: float = math.inf,
    into: Path | None = None,
    grid: ClipSpec | None = None,
    followings: Collection[Following] = (),
    tracks: Collection[WindowTrack] = (),
) -> WholeVideo:
    """Have a worker process decode a video or a part of it and make views of it.

    Args:
        path: the file.
        requests: view → what is wanted; none of them a user's own.
        workers: decodes.
        begin_seconds: of the part, after the first frame.
        end_seconds: likewise; a frame at this moment is none of the part.
        into: a folder that takes the views, `VIEW.npy` each; they are sent through memory otherwise. They stay there.
        grid: keep only those frames of each view that are on the grid of such clips, which begins with the part.
        followings: in what ways people are followed, besides those of `requests`.
        tracks: where people are, as far as that is known; looked for in the other ways.

    Raises:
        EmptyPartError: the part has no frame, and nothing that was seen of the file is damaged.
        VideoError: it cannot be decoded, or the part has no frame.
        UsageError: the file does not exist.
        StorageError: the disk takes no more.
    """
    ways = dict.fromkeys([*followings, *followings_of(request.geometry for request in requests.values())])
    wanted = _Wanted(path, dict(requests), begin_seconds, end_seconds, into, grid, tuple(ways), tuple(tracks))
    (message,) = workers.run(_decode_job, wanted)
    kept = message.arrays["kept"]
    if not len(kept):
        kind = EmptyPartError if message.fields["is_sound"] else UnreadableVideoError
        raise kind(
            f"video '{printable(path)}' has no frame from {begin_seconds:g} to {end_seconds:g} s; the last one before "
            f"is at {message.fields['before_seconds']:g} s"
        )
    views = {view: _view(view, message, kept, into) for view in requests}
    unknown = [following for following in ways if following not in {track.following for track in tracks}]
    found = (WindowTrack.of_array(one, message.arrays[f"track {index}"]) for index, one in enumerate(unknown))
    return WholeVideo(message.arrays["timestamps"], views, tuple(message.fields["shape"]), tuple(found))


def are_within(seconds: Seconds, begin_seconds: float, end_seconds: float) -> Any:  # noqa: ANN401  # as of `seconds`
    """Whether moments, one or an array of them, lie in a part: from its begin on, and before its end."""
    return (seconds >= begin_seconds - _TOLERANCE_S) & (seconds < end_seconds - _TOLERANCE_S)


def _view(view: str, message: Message, kept: NDArray[np.float64], into: Path | None) -> StoredView:
    rows = message.arrays[view] if into is None else mapped(into / f"{view}.npy")
    height, width = message.fields["shapes"][view]
    pixels, keypoints = (None, rows) if VIEWS[view].content == "key points" else (rows, None)
    return StoredView(view, kept, pixels, keypoints, height, width, {})


def _decode_job(beat: Beat, wanted: _Wanted) -> Iterator[Message]:
    """All that is wanted, as one message."""
    finder = MomentFinder(wanted.path, MediaLimits(), wanted.decoded_from, beat)
    for way in ways_to(wanted.decoded_from):
        try:
            message = _made(finder, way, wanted)
        except UnsureError:
            continue
        yield message
        return


def _made(finder: MomentFinder, way: "Way", wanted: _Wanted) -> Message:
    """What is wanted, found in one way; raises `UnsureError` if that way is not sure of all of it."""
    part = _Part(wanted)
    rows: dict[str, list[NDArray[Any]]] = {view: [] for view in wanted.requests}
    shapes: dict[str, tuple[int, int]] = {}
    with ExitStack() as held:
        files = {view: held.enter_context(NpyFile(wanted.into / f"{view}.npy")) for view in rows if wanted.into}
        for frame in held.enter_context(closing(part.frames(finder, way))):
            for view in rows:
                row, shapes[view] = _row(frame, view)
                if files:
                    files[view].add(row)
                else:
                    rows[view].append(row)
    arrays = {} if wanted.into else {view: np.stack(made) for view, made in rows.items() if made}
    times = {"timestamps": np.array(part.timestamps), "kept": np.array(part.kept)}
    found = {f"track {index}": track.array for index, track in enumerate(part.tracks.live)}
    facts = {"shapes": shapes, "before_seconds": part.before_seconds, "is_sound": not finder.damaged}
    return Message(facts | {"shape": finder.shape}, {**times, **found, **arrays})


def _row(frame: LiveFrame, view: str) -> tuple[NDArray[Any], tuple[int, int]]:
    """What is kept of a frame in a view, and the size of the picture that it belongs to."""
    if VIEWS[view].content == "key points":
        stored = frame.stored(view)
        return stored.rows[0], (stored.height, stored.width)
    pixels = frame.pixels(view)
    return pixels, (pixels.shape[0], pixels.shape[1])


class _Part:
    """The frames of a part as they are decoded.

    Args:
        wanted: which part.

    Attributes:
        timestamps: of its frames so far.
        kept: of those that were given.
        before_seconds: of the last frame seen before it.
        tracks: where people are in them, and in the frames around them that matter.
    """

    def __init__(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self.timestamps: list[float] = []
        self.kept: list[float] = []
        self.before_seconds = 0.0
        self.tracks = PeopleTracks(wanted.followings, wanted.tracks, is_kept=True)

    def frames(self, finder: MomentFinder, way: "Way") -> Generator[LiveFrame, None, None]:
        """Its frames, or those of them that are on the grid."""
        all_frames, grid = self._timed(finder, way), self._wanted.grid
        with closing(all_frames):
            for _, frame in all_frames if grid is None else resample(all_frames, grid):
                if not self.kept or frame.frame.seconds > self.kept[-1]:  # the grid may be finer than the frames
                    self.kept.append(frame.frame.seconds)
                    yield frame

    def _timed(self, finder: MomentFinder, way: "Way") -> Generator[tuple[float, LiveFrame], None, None]:
        with closing(self._pictures(finder, way)) as pictures:
            for seconds, frame in live_frames(pictures, self._wanted.requests, PeopleCount(), self.tracks):
                if are_within(seconds, self._wanted.begin_seconds, self._wanted.end_seconds):
                    self.timestamps.append(seconds)
                    yield seconds, frame
                elif seconds > self._wanted.begin_seconds:
                    return
                else:
                    self.before_seconds = seconds

    def _pictures(self, finder: MomentFinder, way: "Way") -> Generator[tuple[float, Picture], None, None]:
        """Pictures from where decoding begins, all of the size of the file's first one."""
        for seconds, picture in finder.pictures(way, is_sure_throughout=True):
            yield seconds, picture.changed(partial(resize, height=finder.shape[0], width=finder.shape[1]))
