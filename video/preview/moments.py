"""What a video's views hold, moment by moment, for showing: stored ones as they are, the others made from the pictures.

    sources = ViewSources.of(Path("video.mp4"))
    for moment in sources.moments(read_frames(Path("video.mp4"))):
        sources.flow(moment), sources.keypoints(moment, 256, 340), sources.mask(moment)

`cocon.video.reading.live` makes views for a model: of any size, cropped, as bytes.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import Frame
from cocon.video.estimation.flow import FlowSpec, estimate_flow, with_later_frame
from cocon.video.estimation.people import People, people_of
from cocon.video.geometry import resize_short_side
from cocon.video.reading.branches import branches
from cocon.video.reading.live import stored_or_missing
from cocon.video.store.dataset import entry_of
from cocon.video.store.stored_view import StoredView
from cocon.video.views import VIEWS

__all__ = ["FLOW_SPEC", "Moment", "ViewSources"]

Pixels = NDArray[np.uint8]

FLOW_SPEC = FlowSpec()


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame, and what its views are made from.

    Attributes:
        seconds: presentation time.
        pixels: RGB `uint8 [H, W, 3]`.
        pair: the frame and the later one at the size of flow; None where no flow is made.
        people: found in the frame; None where nobody is looked for.
    """

    seconds: float
    pixels: Pixels
    pair: tuple[Pixels, Pixels] | None
    people: People | None


@dataclass(frozen=True, slots=True)
class ViewSources:
    """Where the views of a video come from.

    Attributes:
        stored: view → what the store has.
        missing: view → why it cannot be had.
    """

    stored: dict[str, StoredView]
    missing: dict[str, str]

    @classmethod
    def of(
        cls, video: Path, content_sha256: str | None = None, *, on_progress: Callable[[], None] | None = None
    ) -> Self:
        """Look into the store, and for what estimates people.

        Args:
            video: the file.
            content_sha256: of it, if known; views that were stored for another content are missing then.
            on_progress: called now and then while stored views are unpacked, as a sign of life.
        """
        root, entry = entry_of(video)
        stored, missing = stored_or_missing(
            root, entry.video_id, dict.fromkeys(VIEWS), content_sha256=content_sha256, on_progress=on_progress
        )
        return cls(stored, {view: reason.replace(f"{root}{os.sep}", "") for view, reason in missing.items()})

    @property
    def flow_interval_seconds(self) -> float | None:
        """Between the two frames of a flow; None if nobody knows, or there is none."""
        if "flow" in self.stored:
            interval = self.stored["flow"].attributes.get("flow_interval_seconds")
            return interval if isinstance(interval, float) else None
        return None if "flow" in self.missing else FLOW_SPEC.interval_seconds

    def moments(self, frames: Iterator[Frame]) -> Iterator[Moment]:
        """Follow the frames of a video, in one pass and bounded memory."""
        makes_flow, makes_people = self._are_made("flow"), self._are_made("pose", "mask")
        pictures, *others = branches(frames, 1 + makes_flow + makes_people)
        pairs: Iterator[tuple[float, tuple[Pixels, Pixels] | None]] = repeat((0.0, None))
        people: Iterator[tuple[float, People | None]] = repeat((0.0, None))
        if makes_flow:
            small = ((seconds, resize_short_side(pixels, FLOW_SPEC.size_px)) for seconds, pixels in others.pop())
            pairs = with_later_frame(small, FLOW_SPEC.interval_seconds)
        if makes_people:
            people = people_of(others.pop())
        for (seconds, pixels), (_, pair), (_, found) in zip(pictures, pairs, people, strict=False):
            yield Moment(seconds, pixels, pair, found)

    def flow(self, moment: Moment) -> Pixels:
        """Flow bytes `uint8 [h, w, 2]`."""
        if "flow" in self.stored:
            return _stored_frame(self.stored["flow"], moment)
        assert moment.pair
        return estimate_flow(*moment.pair, FLOW_SPEC)

    def keypoints(self, moment: Moment, height: int, width: int) -> NDArray[np.float32]:
        """Key points `[P, 17, 3]` in pixels of a `height` × `width` picture, score."""
        source = self.stored.get("pose") or moment.people
        assert source
        if isinstance(source, People):
            keypoints = source.keypoints
        elif source.keypoints is None:
            keypoints = _peaks(_stored_frame(source, moment))
        else:
            keypoints = source.keypoints[source.nearest(moment.seconds)]
        scale = np.array([width / source.width, height / source.height, 1.0], np.float32)
        return keypoints.astype(np.float32) * scale

    def mask(self, moment: Moment) -> Pixels:
        """Person probability × 255, `uint8 [h, w, 1]`."""
        if "mask" in self.stored:
            return _stored_frame(self.stored["mask"], moment)
        assert moment.people
        return moment.people.mask

    def _are_made(self, *views: str) -> bool:
        return any(view not in self.stored and view not in self.missing for view in views)


def _stored_frame(stored: StoredView, moment: Moment) -> Pixels:
    assert stored.pixels is not None
    return stored.pixels[stored.nearest(moment.seconds)]


def _peaks(heatmaps: Pixels) -> NDArray[np.float16]:
    """Key points `[1, 17, 3]` of one person's heat-maps `uint8 [h, w, 17]`."""
    height, width, num_points = heatmaps.shape
    flat = heatmaps.reshape(height * width, num_points)
    rows, columns = np.divmod(flat.argmax(axis=0), width)
    return np.stack([columns + 0.5, rows + 0.5, flat.max(axis=0) / 255], axis=-1)[None].astype(np.float16)
