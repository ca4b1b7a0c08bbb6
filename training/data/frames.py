"""Decoded views of a dataset's videos, kept in memory as far as the budget allows.

Frames are resized once, to the short side of the view's geometry; poses stay key points until a clip is drawn.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.decode import read_frames
from cocon.video.errors import MissingViewError, VideoError
from cocon.video.flow import FlowSpec, dis_flow, flow_to_bytes, with_later_frame
from cocon.video.folder import VideoEntry
from cocon.video.geometry import resize_short_side, resized_shape
from cocon.video.reader import ViewRequest
from cocon.video.store import StoredView, find_view

__all__ = ["DecodedVideo", "DecodedView", "VideoFrames", "load_video"]

_logger = logging.getLogger(__name__)
_BYTES_PER_GIB = 1 << 30


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
    """

    def __init__(
        self, entries: Sequence[VideoEntry], root: Path, requests: Mapping[str, ViewRequest], *, cache_gib: float
    ) -> None:
        self.entries = tuple(entries)
        self.failures: dict[str, str] = {}
        self._root = root
        self._requests = dict(requests)
        self._budget_bytes = int(cache_gib * _BYTES_PER_GIB)
        self._kept: dict[int, DecodedVideo] = {}

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
                self._remember(self.entries[position], failure)
        raise error or VideoError("the dataset is empty")

    def preload(self) -> Iterator[int]:
        """Load everything that fits in memory; yields how many videos have been looked at."""
        for index in range(len(self.entries)):
            if self._budget_bytes > 0:
                self[index]
            yield index + 1

    def _load(self, index: int) -> DecodedVideo:
        if index in self._kept:
            return self._kept[index]
        entry = self.entries[index]
        if entry.video_id in self.failures:
            raise VideoError(self.failures[entry.video_id])
        video = load_video(entry, self._root, self._requests)
        if video.num_bytes <= self._budget_bytes:
            self._budget_bytes -= video.num_bytes
            self._kept[index] = video
        return video

    def _remember(self, entry: VideoEntry, failure: VideoError) -> None:
        if entry.video_id not in self.failures:
            self.failures[entry.video_id] = str(failure)
            _logger.warning("video '%s' is left out: %s", entry.video_id, failure)


def load_video(entry: VideoEntry, root: Path, requests: Mapping[str, ViewRequest]) -> DecodedVideo:
    """Decode or read every requested view of one video.

    Raises:
        VideoError: the video cannot be decoded, a stored view is damaged, or one is missing that cannot be made.
        UsageError: the file does not exist.
    """
    views: dict[str, DecodedView] = {}
    decoded: list[tuple[float, NDArray[np.uint8]]] = []
    for view, request in requests.items():
        kept = find_view(root, view, entry.video_id, request.flow)
        if kept is not None:
            views[view] = _from_store(kept, request)
            continue
        if view not in ("rgb", "flow"):
            raise MissingViewError(f"view '{view}' of video '{entry.video_id}' is not stored under '{root / 'views'}'")
        decoded = decoded or list(read_frames(entry.path))
        views[view] = _from_frames(decoded, view, request)
    return DecodedVideo(entry, views)


def _from_store(stored: StoredView, request: ViewRequest) -> DecodedView:
    height, width = resized_shape(stored.height, stored.width, request.geometry.resize_px)
    seconds = stored.timestamps - stored.timestamps[0]
    if stored.keypoints is not None:
        return DecodedView(seconds, None, stored, height, width)
    pixels = stored.frames(np.arange(len(seconds)), height=height, width=width)
    return DecodedView(seconds, pixels, None, height, width)


def _from_frames(frames: list[tuple[float, NDArray[np.uint8]]], view: str, request: ViewRequest) -> DecodedView:
    small = [(seconds, resize_short_side(pixels, request.geometry.resize_px)) for seconds, pixels in frames]
    if view == "flow":
        small = list(_flow_frames(small, request.flow or FlowSpec()))
    seconds = np.array([moment for moment, _ in small]) - small[0][0]
    pixels = np.stack([picture for _, picture in small])
    return DecodedView(seconds, pixels, None, pixels.shape[1], pixels.shape[2])


def _flow_frames(
    frames: list[tuple[float, NDArray[np.uint8]]], flow: FlowSpec
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    for seconds, (first, later) in with_later_frame(frames, flow.interval_seconds):
        yield seconds, flow_to_bytes(dis_flow(first, later))
