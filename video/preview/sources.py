"""Where the views of a video come from that are shown: stored ones as they are, the others made from the pictures.

sources = ViewSources.of(Path("video.mp4"))
for frame in sources.frames(read_frames(Path("video.mp4"))):
sources.view("flow", frame).pixels, sources.view("pose", frame).keypoints
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cocon.video.decoding.frames import Frame
from cocon.video.estimation.flow import FlowSpec
from cocon.video.reading.live import stored_or_missing
from cocon.video.reading.viewed_frames import ViewedFrame, viewed_frames
from cocon.video.store.belonging import entry_of
from cocon.video.store.files import view_path
from cocon.video.store.stored_view import Attributes, StoredView
from cocon.video.views import DEFAULT_VIEWS, VIEWS

__all__ = ["FLOW_SPEC", "ViewSources"]

FLOW_SPEC = FlowSpec()


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
        shown = [view for view in VIEWS if view in DEFAULT_VIEWS or view_path(root, view, entry.video_id).is_file()]
        stored, missing = stored_or_missing(
            root, entry.video_id, dict.fromkeys(shown), content_sha256=content_sha256, on_progress=on_progress
        )
        return cls(stored, {view: reason.replace(f"{root}{os.sep}", "") for view, reason in missing.items()})

    @property
    def views(self) -> tuple[str, ...]:
        """Those that any video has, and the user's own that are stored of this one, in the order of the table."""
        known = {*DEFAULT_VIEWS, *self.stored, *self.missing}
        return tuple(view for view in VIEWS if view in known)

    def attributes(self, view: str) -> Attributes:
        """What is known of a view that is not missing."""
        if view in self.stored:
            return self.stored[view].attributes
        return {"flow_interval_seconds": FLOW_SPEC.interval_seconds} if view == "flow" else {}

    def frames(self, frames: Iterator[Frame]) -> Iterator[ViewedFrame]:
        """Follow the frames of a video, in one pass and bounded memory."""
        made = [view for view in self.views if view not in self.stored and view not in self.missing]
        return viewed_frames(frames, {"rgb", *made}, FLOW_SPEC)

    def view(self, name: str, frame: ViewedFrame) -> StoredView:
        """What a view that is not missing holds of a frame: that frame of it alone."""
        return self.stored[name].at(frame.seconds) if name in self.stored else frame.view(name)
