"""Clips of a video in one or several views, from one decoding pass and whatever views are stored beside it.

    source = VideoSource(Path("query.mp4"), spec, requests={"rgb": request, "flow": request})
    for clip in source.clips():
        clip.start_seconds, clip.pixels["rgb"]          # uint8 [N, T, H, W, C]
    source.missing, source.lost, source.notes

A view stored in the dataset folder that the video belongs to is read from there; the others are made from the
pictures. `worker_clips` has the same done in a process of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, MissingViewError, TruncatedVideoError
from cocon.video.blocks import DistinctBlocks
from cocon.video.clips import ClipSpec, resample
from cocon.video.decoding.frames import FrameStream, read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import centre_crop
from cocon.video.reading.live import (
    PeopleCount,
    ViewRequest,
    differences,
    live_frames,
    makers,
    needed_views,
    stored_or_missing,
)
from cocon.video.reading.notes import empty_views, length_notes, people_notes
from cocon.video.reading.people_tracks import PeopleTracks, StoredFrames
from cocon.video.reading.windowed_rows import windowed_rows
from cocon.video.store.belonging import entry_of
from cocon.video.store.stored_view import StoredView

__all__ = ["MultiViewClip", "VideoSource", "ViewRequest"]

Pixels = NDArray[np.uint8]
Row = tuple[float, list[Pixels]]


@dataclass(frozen=True, slots=True)
class MultiViewClip:
    """One clip in every view that could be had.

    Attributes:
        index: position among the video's clips, from 0.
        start_seconds: presentation time of its first frame, relative to the video's first.
        end_seconds: start plus N·T steps, at most the video's end.
        blocks: numbers of its N blocks among those of the video, see `VideoSource.shares_blocks`.
        pixels: view → its new blocks, whose numbers follow those of the clips before it, `uint8 [M, T, H, W, C]`; all N
            where blocks are not shared.
    """

    index: int
    start_seconds: float
    end_seconds: float
    blocks: tuple[int, ...]
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
        shares_blocks: a block that several clips have, or one clip several times, comes with the first alone; otherwise
            every clip brings all of its blocks, as new ones.
        content_sha256: of the file; views stored for another content are then refused.
        limits: how much is read before the file is refused.
        kept_as: dataset folder and video_id of its stored views; looked up by `find_store` unless given.
        is_strict: refuse damaged videos, and views that others make than those that the model learned from.
        missing: view → why it cannot be had; known once `clips` has begun.
        made_by: view → who makes it, or made it, as far as that is known; known once `clips` has begun.
        differences: what there is to say of such views; known once `clips` has begun.
        num_frames: after the last clip: frames decoded.
        duration_seconds: after the last clip: end of the last frame.
        lost: after the last clip: why some of the pictures are missing; empty if none is known to be.
        empty_views: after the last clip: its views in which nobody is to be seen in any frame.
        notes: after the last clip: what else a user should know, such as that nobody was found.
        stage_seconds: after the last clip: seconds of a processor for `decode`, and where a worker process has made
            them also for `views` and `pack`.
    """

    path: Path
    spec: ClipSpec
    requests: Mapping[str, ViewRequest]
    hop: int | None = None
    shares_blocks: bool = False
    content_sha256: str | None = None
    limits: MediaLimits = field(default_factory=MediaLimits)
    kept_as: tuple[Path, str] | None = None
    is_strict: bool = False
    missing: dict[str, str] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    num_frames: int = 0
    duration_seconds: float = 0.0
    lost: str = ""
    empty_views: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=dict, compare=False)

    def find_store(self) -> None:
        """Look up where views of this video are stored; manifests that cannot be read are warned of."""
        if self.kept_as is None:
            root, entry = entry_of(self.path)
            self.kept_as = root, entry.video_id

    def clips(self, *, on_frame: Callable[[], None] | None = None) -> Iterator[MultiViewClip]:
        """Cut the whole video into clips, in one pass and bounded memory.

        Args:
            on_frame: called for every frame, as a sign of life.

        Raises:
            VideoError: the video cannot be decoded, or none of the views can be had; after the last clip, where damaged
                videos are to be refused and this is one.
            UsageError: the file does not exist.
            MismatchError: others make its views than those that the model learned from, and that is to be refused.
        """
        with closing(read_frames(self.path, self.limits, on_frame=on_frame, is_ahead=True)) as frames:
            yield from self._clips_of(frames, on_frame)

    def _clips_of(self, frames: FrameStream, on_frame: Callable[[], None] | None) -> Iterator[MultiViewClip]:
        stored, people = self._look_into_store(frames.display_shape, on_frame)
        live = [view for view in self.requests if view not in stored and view not in self.missing]
        if not live and not stored:
            raise MissingViewError("; ".join(self.missing.values()))
        self.made_by = makers(self.requests, stored, live)
        self.differences = differences(self.requests, stored, live, people)
        if self.differences and self.is_strict:
            raise MismatchError(f"{'; '.join(self.differences)}; make it by the same, or leave out --strict")
        count = PeopleCount()
        rows = self._rows(frames, live, stored, people, count)
        yield from self._cut(rows, [*live, *stored], frames)
        self.stage_seconds = {"decode": frames.decode_seconds}
        self.num_frames, self.duration_seconds, self.lost = frames.num_frames, frames.duration_seconds, frames.lost
        if self.is_strict and self.lost:
            raise TruncatedVideoError(
                f"video '{self.path}' is damaged: {self.lost}; leave out --strict to take the rest"
            )
        self.empty_views = empty_views(live, count, stored)
        self.notes = [*frames.notes, *people_notes(count, self.requests), *length_notes(stored, self.duration_seconds)]
        self.notes += [f"stored view '{view}' has nobody in any frame" for view in self.empty_views if view in stored]

    def _look_into_store(
        self, shape: tuple[int, int], on_progress: Callable[[], None] | None
    ) -> tuple[dict[str, StoredView], dict[str, StoredView]]:
        """Views found in the store, and those by which people are followed; in `missing` those that cannot be had."""
        self.find_store()
        assert self.kept_as is not None
        followed = {view: f.by for view, request in self.requests.items() if (f := request.geometry.following)}
        found, missing = stored_or_missing(
            *self.kept_as,
            needed_views(self.requests),
            content_sha256=self.content_sha256,
            shape=shape,
            on_progress=on_progress,
        )
        self.missing = {view: reason for view, reason in missing.items() if view in self.requests}
        for view, by in followed.items():
            if by in missing and view not in missing:
                self.missing[view] = f"view '{view}' follows people by view '{by}': {missing[by]}"
        stored = {view: kept for view, kept in found.items() if view in self.requests and view not in self.missing}
        return stored, {view: kept for view, kept in found.items() if view in followed.values()}

    def _rows(
        self,
        frames: FrameStream,
        live: list[str],
        stored: Mapping[str, StoredView],
        people: Mapping[str, StoredView],
        count: PeopleCount,
    ) -> Iterator[Row]:
        """Grid frames in all views, in the order of `live` and `stored`."""
        wanted = {view: self.requests[view] for view in live}
        tracks = PeopleTracks.of((self.requests[view].geometry for view in [*live, *stored]), people)
        kept = [StoredFrames(stored[view], self.requests[view].geometry, tracks) for view in stored]
        for seconds, frame in resample(live_frames(frames.pictures(), wanted, count, tracks), self.spec):
            made = [centre_crop(frame.pixels(view), wanted[view].geometry.crop_px) for view in live]
            yield seconds, made + [one.at(seconds) for one in kept]

    def _cut(self, rows: Iterator[Row], views: list[str], frames: FrameStream) -> Iterator[MultiViewClip]:
        """Make clips of grid rows."""
        known = DistinctBlocks(self.spec.frames_per_block)
        windows = windowed_rows(rows, self.spec, self.hop or self.spec.num_frames)
        for index, (window, of_window) in enumerate(windows):
            numbers, new = self._numbered(index, window, known)
            pixels = self._blocks_at(new, of_window, views)
            yield MultiViewClip(index, *self._span(of_window, frames), numbers, pixels)

    def _numbered(
        self, index: int, window: NDArray[np.int64], known: DistinctBlocks
    ) -> tuple[tuple[int, ...], Sequence[int]]:
        """As `DistinctBlocks.take`."""
        if self.shares_blocks:
            known.forget_before(int(window[0]))  # windows come in order of time
            return known.take(window)
        places = range(self.spec.num_blocks)
        return tuple(index * len(places) + place for place in places), places

    def _blocks_at(self, places: Sequence[int], rows: list[Row], views: list[str]) -> dict[str, Pixels]:
        """Some blocks of a window's rows: view → `uint8 [M, T, H, W, C]`."""
        T = self.spec.frames_per_block
        chosen = [frame for place in places for _, frame in rows[place * T : (place + 1) * T]]
        stacked = {view: np.stack([frame[column] for frame in chosen]) for column, view in enumerate(views)}
        return {view: pixels.reshape(len(places), T, *pixels.shape[1:]) for view, pixels in stacked.items()}

    def _span(self, rows: list[Row], frames: FrameStream) -> tuple[float, float]:
        """When a window's clip begins and ends."""
        start = rows[0][0]
        span = self._step_seconds(frames) * self.spec.num_frames
        return start, min(start + span, max(frames.duration_seconds, rows[-1][0]))

    def _step_seconds(self, frames: FrameStream) -> float:
        if self.spec.step_seconds is not None:
            return self.spec.step_seconds
        assert self.spec.step_frames is not None
        return self.spec.step_frames * frames.duration_seconds / max(1, frames.num_frames)
