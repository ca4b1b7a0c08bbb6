"""Decoded views of a dataset's videos, kept in memory as far as the budget allows.

Frames are resized once, to the short side of the view's geometry; poses stay key points until a clip is drawn.
"""

import logging
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from cocon.core.errors import MissingViewError, UnreadableVideoError, UsageError, VideoError
from cocon.core.paths import why_no_file
from cocon.video.geometry import resized_shape
from cocon.video.making.recipe import makers_of
from cocon.video.reading.live import ViewRequest
from cocon.video.reading.whole_video import whole_video
from cocon.video.store.dataset import VideoEntry, content_sha256
from cocon.video.store.files import check_shape, find_view, remedy
from cocon.video.store.stored_view import StoredView
from cocon.video.views import VIEWS
from cocon.video.workers.pool import WorkerPool

__all__ = ["DecodedVideo", "DecodedView", "VideoFrames", "load_video"]

_logger = logging.getLogger(__name__)
_BYTES_PER_GIB = 1 << 30
# A folder whose views were never made would fill the terminal with one line per video.
_NAMED_FAILURES = 10
# People are looked for once, beforehand, and not in every run: that is slower than training on what was found.
_MADE_HERE = ("decoding", "flow")
# Parts are written to so many decimals.
_TOLERANCE_S = 1e-6


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
        """Memory taken."""
        array = self.pixels if self.pixels is not None else self.pose.keypoints if self.pose else None
        return 0 if array is None else array.nbytes


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """One video in all the views that were asked for."""

    entry: VideoEntry
    views: Mapping[str, DecodedView]

    @property
    def timestamps(self) -> NDArray[np.float64]:
        """The clock that clips are cut by: that of the first view, `float64 [F]`."""
        return next(iter(self.views.values())).timestamps

    @property
    def num_bytes(self) -> int:
        """Memory taken."""
        return sum(view.num_bytes for view in self.views.values())


class VideoFrames:
    """The videos of a dataset by position; a video that fails to load is replaced by its neighbour, and said once.

    Args:
        entries: the videos.
        root: dataset folder with the store.
        requests: view → geometry and flow.
        cache_gib: memory budget.

    Attributes:
        entries: the videos.
        num_videos: of them, and of those that `only` left behind.
        failures: id → why it could not be loaded, of all that failed so far.
    """

    def __init__(
        self, entries: Sequence[VideoEntry], root: Path, requests: Mapping[str, ViewRequest], *, cache_gib: float
    ) -> None:
        self.entries = tuple(entries)
        self.num_videos = len(self.entries)
        self.failures: dict[str, str] = {}
        self._absent = frozenset(entry.video_id for entry in entries if why_no_file(entry.path))
        self._root = root
        self._requests = dict(requests)
        self._budget_bytes = int(cache_gib * _BYTES_PER_GIB)
        self._kept: dict[int, DecodedVideo] = {}
        self._workers: tuple[int, WorkerPool] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> DecodedVideo:
        """The video at a position.

        Raises:
            VideoError: neither it nor any other can be loaded.
        """
        error: VideoError | None = None
        for offset in range(len(self.entries)):
            position = (index + offset) % len(self.entries)
            try:
                return self._load(position)
            except VideoError as failure:
                error = error or failure
                self.remember({self.entries[position].video_id: str(failure)})
        raise error or VideoError("the dataset is empty")

    def only(self, positions: Sequence[int]) -> "VideoFrames":
        """The videos at these positions; those that are in memory move along, the others are forgotten."""
        chosen = VideoFrames(
            [self.entries[position] for position in positions], self._root, self._requests, cache_gib=0
        )
        chosen.num_videos, chosen.failures = self.num_videos, self.failures
        chosen._kept = {new: self._kept[old] for new, old in enumerate(positions) if old in self._kept}
        kept_bytes, moved_bytes = (
            sum(video.num_bytes for video in kept.values()) for kept in (self._kept, chosen._kept)
        )
        chosen._budget_bytes = self._budget_bytes + kept_bytes - moved_bytes
        return chosen

    @cached_property
    def made_by(self) -> dict[str, tuple[str, ...]]:
        """View → who made it, of all videos together; looks into every stored view once."""
        names = list(dict.fromkeys(entry.store_id for entry in self.entries))
        return {view: makers_of(self._root, view, names, request.flow) for view, request in self._requests.items()}

    def preload(self) -> Iterator[int]:
        """Load everything that fits in memory; yields how many videos have been looked at; raises as `[]` does."""
        for index in range(len(self.entries)):
            if self._budget_bytes > 0:
                self[index]
            yield index + 1

    def remember(self, failures: Mapping[str, str]) -> None:
        """Keep id → reason of videos that could not be loaded; each is said once, by the process that trains."""
        for video_id, reason in failures.items():
            if video_id in self.failures:
                continue
            self.failures[video_id] = reason
            if get_worker_info() is not None:  # a process that loads: what it remembers travels with its batches
                continue
            if len(self.failures) <= _NAMED_FAILURES:
                _logger.warning("video '%s' is left out: %s", video_id, reason)
            elif len(self.failures) == _NAMED_FAILURES + 1:
                _logger.warning("more videos are left out; a run lists them in complete.json")

    def _load(self, index: int) -> DecodedVideo:
        if index in self._kept:
            return self._kept[index]
        entry = self.entries[index]
        if entry.video_id in self.failures:
            raise VideoError(self.failures[entry.video_id])
        try:
            video = load_video(entry, self._root, self._requests, self._worker_pool())
        except UsageError as error:  # there is no file, and if there never was one, the list is wrong
            if entry.video_id in self._absent:
                raise
            raise UnreadableVideoError(str(error)) from error
        except OSError as error:
            raise UnreadableVideoError(f"video '{entry.path}' cannot be read: {error.strerror}") from error
        if video.num_bytes <= self._budget_bytes:
            self._budget_bytes -= video.num_bytes
            self._kept[index] = video
        return video

    def _worker_pool(self) -> WorkerPool:
        """A pool of this process: one that a fork took along talks to another process's workers."""
        if self._workers is None or self._workers[0] != os.getpid():
            pool = WorkerPool()
            self._workers = os.getpid(), pool
            weakref.finalize(self, pool.close)
        return self._workers[1]


def load_video(entry: VideoEntry, root: Path, requests: Mapping[str, ViewRequest], workers: WorkerPool) -> DecodedVideo:
    """Read every requested view of one video from the store, or make it from the pictures in a worker process.

    Of a part of a video no frame outside of it is kept, and its first frame is at 0 s.

    Raises:
        VideoError: the video cannot be decoded, a stored view is unfit, one is missing that is not made here, or the
            part has no frame.
        UsageError: the file does not exist.
    """
    digest = None if why_no_file(entry.path) else content_sha256(entry.path)
    stored: dict[str, StoredView] = {}
    problems: dict[str, MissingViewError] = {}
    for view, request in requests.items():
        try:
            if kept := find_view(root, view, entry.store_id, request.flow, content_sha256=digest):
                stored[view] = kept
            elif VIEWS[view].maker not in _MADE_HERE:
                raise MissingViewError(
                    f"view '{view}' of video '{entry.store_id}' is not stored under '{root / 'views'}';"
                    f" make it: {remedy(root, view)} --view {view}"
                )
        except MissingViewError as error:
            problems[view] = error
    live = {view: request for view, request in requests.items() if view not in stored and view not in problems}
    made = _made(entry.path, live, workers) if live else {}  # a video that does not decode has no other problem
    for problem in problems.values():
        raise problem
    for kept, other in product(stored.values(), made.values()):
        check_shape(root, entry.store_id, kept, (other.height, other.width))
    views = {view: made[view] if view in made else _from_store(stored[view], requests[view]) for view in requests}
    return DecodedVideo(entry, _part_of(views, entry) if entry.is_part else views)


def _part_of(views: Mapping[str, DecodedView], entry: VideoEntry) -> dict[str, DecodedView]:
    """What lies in the part of a video that an entry means, on a clock that begins with it."""
    kept = {view: np.flatnonzero(_are_within(decoded.timestamps, entry)) for view, decoded in views.items()}
    for view, frames in kept.items():
        if not len(frames):
            raise UnreadableVideoError(
                f"view '{view}' of part '{entry.video_id}' has no frame; the video ends at "
                f"{views[view].timestamps[-1]:g} s"
            )
    first, frames = next(iter(kept.items()))
    begin = float(views[first].timestamps[frames[0]])
    return {view: _of_frames(decoded, kept[view], begin) for view, decoded in views.items()}


def _are_within(seconds: NDArray[np.float64], entry: VideoEntry) -> NDArray[np.bool_]:
    return (seconds >= entry.start_seconds - _TOLERANCE_S) & (seconds < entry.end_seconds - _TOLERANCE_S)


def _of_frames(decoded: DecodedView, frames: NDArray[np.int64], begin_seconds: float) -> DecodedView:
    pose = decoded.pose
    if pose is not None and pose.keypoints is not None:
        pose = replace(pose, timestamps=pose.timestamps[frames], keypoints=pose.keypoints[frames])
    pixels = None if decoded.pixels is None else decoded.pixels[frames]
    return replace(decoded, timestamps=decoded.timestamps[frames] - begin_seconds, pixels=pixels, pose=pose)


def _from_store(stored: StoredView, request: ViewRequest) -> DecodedView:
    height, width = resized_shape(stored.height, stored.width, request.geometry.resize_px)
    seconds = stored.timestamps - stored.timestamps[0]
    if stored.keypoints is not None:
        return DecodedView(seconds, None, stored, height, width)
    pixels = stored.frames(np.arange(len(seconds)), height=height, width=width)
    return DecodedView(seconds, pixels, None, height, width)


def _made(path: Path, requests: Mapping[str, ViewRequest], workers: WorkerPool) -> dict[str, DecodedView]:
    seconds, pixels = whole_video(path, requests, workers)
    return {view: DecodedView(seconds, made, None, *made.shape[1:3]) for view, made in pixels.items()}
