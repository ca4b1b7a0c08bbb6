"""Clips of a video in one or several views, from one decoding pass and whatever views are stored beside it.

    source = VideoSource(Path("query.mp4"), requests={"rgb": request, "flow": request})
    for clip in source.clips():
        clip.start_seconds, clip.pixels["rgb"]          # uint8 [N, T, H, W, C]

`rgb` is decoded, `flow` is estimated while decoding; a view that cannot be made from the pictures, or is stored
already, is read from the dataset folder that the video belongs to.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import tee
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.clips import ClipSpec, dense_windows, grid_indices, resample
from cocon.video.decode import Frame, read_frames
from cocon.video.errors import MissingViewError
from cocon.video.flow import FlowSpec, dis_flow, flow_to_bytes, with_later_frame
from cocon.video.folder import entry_of
from cocon.video.geometry import Geometry, centre_crop, resize_short_side, resized_shape
from cocon.video.store import StoredView, find_view

__all__ = ["MultiViewClip", "VideoSource", "ViewRequest"]

Pixels = NDArray[np.uint8]
Grid = Iterator[tuple[float, Pixels]]


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """What a model wants of a view.

    Attributes:
        geometry: spatial rule.
        flow: what the flow view measures; None for the others.
    """

    geometry: Geometry
    flow: FlowSpec | None = None


@dataclass(frozen=True, slots=True)
class MultiViewClip:
    """One clip in every view that could be had.

    Attributes:
        index: position among the video's clips, from 0.
        start_seconds: presentation time of its first frame, relative to the video's first.
        end_seconds: start plus N·T steps, at most the video's end.
        pixels: view → `uint8 [N, T, H, W, C]`.
    """

    index: int
    start_seconds: float
    end_seconds: float
    pixels: Mapping[str, Pixels]

    def __repr__(self) -> str:
        shapes = {view: list(pixels.shape) for view, pixels in self.pixels.items()}
        return f"MultiViewClip({self.index}, {self.start_seconds:.3f}-{self.end_seconds:.3f} s, {shapes})"


@dataclass(slots=True)
class VideoSource:
    """One video file and the views wanted of it.

    Attributes:
        path: the video file.
        spec: temporal geometry of the clips.
        requests: view → what is wanted.
        hop: grid frames between the starts of neighbouring clips; N·T, no overlap, by default.
        missing: view → why it cannot be had; known once `clips` has begun.
        num_frames: frames decoded so far.
        duration_seconds: end of the last frame decoded so far.
    """

    path: Path
    spec: ClipSpec
    requests: Mapping[str, ViewRequest]
    hop: int | None = None
    missing: dict[str, str] = field(default_factory=dict)
    num_frames: int = 0
    duration_seconds: float = 0.0

    def clips(self) -> Iterator[MultiViewClip]:
        """Cut the whole video into clips, in one pass and bounded memory.

        Raises:
            VideoError: the video cannot be decoded, or none of the views can be had.
            UsageError: the file does not exist.
        """
        frames = read_frames(self.path)
        self.num_frames, self.duration_seconds = 0, 0.0
        stored = self._stored_views()
        live = [view for view in self.requests if view in _LIVE_VIEWS and view not in stored]
        views = [*live, *stored]
        if not views:
            raise MissingViewError("; ".join(self.missing.values()))
        # One decoding pass feeds every live view; the extra branch keeps the time for stored ones.
        branches = tee(self._counted(frames), len(live) + 1)
        clock = (seconds for seconds, _ in resample(branches[-1], self.spec))
        grids = [_LIVE_VIEWS[view](branches[i], self.requests[view], self.spec) for i, view in enumerate(live)]
        grids += [self._stored_grid(stored[view], self.requests[view]) for view in stored]
        rows = ((row[0], [pixels for _, pixels in row[1:]]) for row in zip(clock, *grids, strict=False))
        yield from self._windows(rows, views)

    def _windows(self, rows: Iterator[tuple[float, list[Pixels]]], views: list[str]) -> Iterator[MultiViewClip]:
        """Slide the clip's window over grid rows; the last windows follow the spec's policies."""
        size, hop = self.spec.num_frames, self.hop or self.spec.num_frames
        buffer: deque[tuple[float, list[Pixels]]] = deque(maxlen=size)
        full: list[tuple[float, list[Pixels]]] = []  # waits for the next row, which tells where its clip ends
        num_rows = num_clips = 0
        for row in rows:
            if full:
                yield self._clip(num_clips, full, views)
                num_clips += 1
            buffer.append(row)
            num_rows += 1
            full = list(buffer) if num_rows >= size and (num_rows - size) % hop == 0 else []
        for window in dense_windows(num_rows, self.spec, hop=hop)[num_clips:]:
            first_kept = num_rows - len(buffer)
            yield self._clip(num_clips, [buffer[position - first_kept] for position in window], views)
            num_clips += 1

    def _clip(self, index: int, rows: list[tuple[float, list[Pixels]]], views: list[str]) -> MultiViewClip:
        shape = (self.spec.num_blocks, self.spec.frames_per_block)
        pixels = {}
        for column, view in enumerate(views):
            frames = np.stack([frames[column] for _, frames in rows])  # [N·T, H, W, C]
            pixels[view] = frames.reshape(*shape, *frames.shape[1:])  # [N, T, H, W, C]
        start = rows[0][0]
        span = self._step_seconds() * self.spec.num_frames
        return MultiViewClip(index, start, min(start + span, max(self.duration_seconds, rows[-1][0])), pixels)

    def _step_seconds(self) -> float:
        if self.spec.step_seconds is not None:
            return self.spec.step_seconds
        assert self.spec.step_frames is not None
        return self.spec.step_frames * self.duration_seconds / max(1, self.num_frames)

    def _counted(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass frames on while keeping the count and the duration (last time plus the last frame interval)."""
        first: float | None = None
        previous = interval = 0.0
        for seconds, pixels in frames:
            first = seconds if first is None else first
            interval = seconds - previous if self.num_frames else 1 / 25
            previous = seconds
            self.num_frames += 1
            self.duration_seconds = seconds - first + interval
            yield seconds, pixels

    def _stored_views(self) -> dict[str, StoredView]:
        """Views found in the store, and in `missing` those that are nowhere."""
        root, entry = entry_of(self.path)
        stored = {}
        for view, request in self.requests.items():
            if kept := find_view(root, view, entry.video_id, request.flow):
                stored[view] = kept
            elif view not in _LIVE_VIEWS:
                self.missing[view] = f"view '{view}' of '{self.path}' is not stored and cannot be made from it"
        return stored

    def _stored_grid(self, stored: StoredView, request: ViewRequest) -> Grid:
        height, width = resized_shape(stored.height, stored.width, request.geometry.resize_px)
        for index in grid_indices(stored.timestamps, self.spec):
            frame = stored.frames([int(index)], height=height, width=width)[0]
            yield float(stored.timestamps[index]), centre_crop(frame, request.geometry.crop_px)


def _rgb_grid(frames: Iterator[Frame], request: ViewRequest, spec: ClipSpec) -> Grid:
    for seconds, pixels in resample(frames, spec):
        yield seconds, centre_crop(resize_short_side(pixels, request.geometry.resize_px), request.geometry.crop_px)


def _flow_grid(frames: Iterator[Frame], request: ViewRequest, spec: ClipSpec) -> Grid:
    assert request.flow is not None
    small = ((seconds, resize_short_side(pixels, request.geometry.resize_px)) for seconds, pixels in frames)
    for seconds, (first, later) in resample(with_later_frame(small, request.flow.interval_seconds), spec):
        yield seconds, centre_crop(flow_to_bytes(dis_flow(first, later)), request.geometry.crop_px)


_LIVE_VIEWS: dict[str, Callable[[Iterator[Frame], ViewRequest, ClipSpec], Grid]] = {
    "rgb": _rgb_grid,
    "flow": _flow_grid,
}
