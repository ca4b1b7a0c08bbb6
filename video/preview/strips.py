"""Strips of a video's views, drawn in a worker process while it decodes.

What is found of a person depends on the frames before. Where only some moments of a long video are wanted, people are
followed for some seconds before each, not from its beginning.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import Frame, of_one_size, read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.following.rule import Following
from cocon.video.following.windows import PictureWindow
from cocon.video.geometry import Geometry
from cocon.video.preview.drawings import draw_view, draw_window, legend_words, window_words
from cocon.video.preview.panels import Panel, SheetLayout, draw_strip, notice
from cocon.video.preview.sources import FLOW_SPEC, ViewSources
from cocon.video.reading.people_tracks import PeopleTracks
from cocon.video.reading.viewed_frames import ViewedFrame
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat

__all__ = ["StripPlan", "strip_job", "times_job"]

Pixels = NDArray[np.uint8]

# In all: a video up to this long is looked at as a whole, so that pose and mask are exactly those of the whole.
_FOLLOWED_SECONDS = 60.0
_FRAMES_PER_MESSAGE = 25


@dataclass(frozen=True, slots=True)
class StripPlan:
    """Which strips of a video are wanted.

    Attributes:
        video: the file.
        limits: how much of it is read before it is refused.
        content_sha256: of the file, if known; views stored for another content are not shown.
        following: how people are followed whose windows are drawn; None draws none.
        wanted: numbers of the frames to draw, increasing; None is all.
        followed: numbers of the frames to look at, increasing, `wanted` among them; None is all.
    """

    video: Path
    limits: MediaLimits
    content_sha256: str | None = None
    following: Following | None = None
    wanted: tuple[int, ...] | None = None
    followed: tuple[int, ...] | None = None

    @classmethod
    def of_frames(
        cls,
        video: Path,
        limits: MediaLimits,
        content_sha256: str | None,
        following: Following | None = None,
        *,
        wanted: NDArray[np.int64],
        times: NDArray[np.float64],
    ) -> Self:
        """For some frames of a video whose frames have `times`, and what must be seen to draw them."""
        ahead = 2 * FLOW_SPEC.interval_seconds  # the frame nearest to one interval later is no farther
        before = _FOLLOWED_SECONDS / len(wanted)
        if following is not None:
            before, ahead = max(before, following.lead_seconds), max(ahead, following.smoothing_seconds)
        spans = [(times >= times[number] - before) & (times <= times[number] + ahead) for number in wanted]
        followed = np.flatnonzero(np.logical_or.reduce(spans))
        return cls(video, limits, content_sha256, following, tuple(wanted.tolist()), tuple(followed.tolist()))

    @property
    def num_frames(self) -> int | None:
        """How many frames are decoded; None is all."""
        return None if self.followed is None else self.followed[-1] + 1


def times_job(beat: Beat, video: Path, limits: MediaLimits) -> Iterator[Message]:
    """Look through a video.

    Yields:
        `num_frames` read so far, now and then; last `height`, `width`, `duration_seconds`, `lost` and the array
        `times`.
    """
    frames = read_frames(video, limits, on_frame=beat)
    times: list[float] = []
    for seconds, _ in frames:
        times.append(seconds)
        if len(times) % _FRAMES_PER_MESSAGE == 0:
            yield Message({"num_frames": len(times)})
    facts = {name: getattr(frames, name) for name in ("height", "width", "duration_seconds", "lost")}
    yield Message(facts, {"times": np.array(times, np.float64)})


def strip_job(beat: Beat, plan: StripPlan) -> Iterator[Message]:
    """Draw strips.

    Yields:
        First `missing` (view → why it cannot be had) and `words` of the legend, see `Word`; then `num_frames` read so
        far, now and then, and with every wanted frame its `seconds` and the array `strip`.
    """
    sources = ViewSources.of(plan.video, plan.content_sha256, on_progress=beat)
    shown = [view for view in sources.views if view not in sources.missing]
    following = plan.following if plan.following and plan.following.by in shown else None
    explained = [word for view in shown for word in legend_words(view, sources.attributes(view))]
    words = [asdict(word) for word in [*explained, *(window_words(following) if following else ())]]
    yield Message({"missing": sources.missing, "words": words})
    frames = _followed_frames(of_one_size(read_frames(plan.video, plan.limits, on_frame=beat)), plan)
    numbers = count() if plan.followed is None else plan.followed
    wanted = None if plan.wanted is None else frozenset(plan.wanted)
    layout: SheetLayout | None = None
    tracks = PeopleTracks.of([Geometry(1, 1, following)], sources.stored)
    for (frame, windows), number in zip(tracks.windowed(sources.frames(frames)), numbers, strict=False):
        if wanted is None or number in wanted:
            layout = layout or SheetLayout.of(*frame.pixels.shape[:2])
            panels = _panels(frame, sources, layout, windows[following] if following else None)
            strip = draw_strip(layout, panels, frame.seconds)
            yield Message({"num_frames": number + 1, "seconds": frame.seconds}, {"strip": strip})
        elif number % _FRAMES_PER_MESSAGE == 0:
            yield Message({"num_frames": number + 1})


def _followed_frames(frames: Iterator[Frame], plan: StripPlan) -> Iterator[Frame]:
    if plan.followed is None:
        yield from frames
        return
    followed, last = frozenset(plan.followed), plan.followed[-1]
    for number, frame in enumerate(frames):
        if number in followed:
            yield frame
        if number == last:
            return


def _panels(frame: ViewedFrame, sources: ViewSources, layout: SheetLayout, window: PictureWindow | None) -> list[Panel]:
    picture = layout.fitted(frame.pixels)
    panels = []
    for view in sources.views:
        if reason := sources.missing.get(view):
            panels.append(Panel(view, notice(layout, reason), "missing"))
        else:
            drawn = draw_view(picture, sources.view(view, frame))
            drawn = drawn if window is None else draw_window(drawn, window)
            panels.append(Panel(view, drawn, "stored" if view in sources.stored else ""))
    return panels
