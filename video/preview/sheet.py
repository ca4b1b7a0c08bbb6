"""The views of a video side by side: a contact sheet in PNG, or a film in MP4.

    with WorkerPool() as pool:
        survey = survey_video(pool, Path("video.mp4"))
        write_preview(pool, survey, Path("views.png"))

The video is read twice: only its end tells how many frames there are.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.progress import OnProgress
from cocon.video.clips import nearest_frames
from cocon.video.decoding.frames import Frame
from cocon.video.decoding.limits import MediaLimits
from cocon.video.following.rule import Following
from cocon.video.output_file import check_output, output_file
from cocon.video.pictures.encode import write_mp4, write_png
from cocon.video.preview.panels import Legend, Word, draw_legend, draw_sheet, time_label
from cocon.video.preview.strips import StripPlan, strip_job, times_job
from cocon.video.store.belonging import entry_of
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import view_path
from cocon.video.views import VIEWS
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import WorkerPool, named

__all__ = ["PREVIEW_SUFFIXES", "Survey", "survey_video", "write_preview"]


PREVIEW_SUFFIXES = (".png", ".mp4")


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a video that was looked through once.

    Attributes:
        video: the file.
        limits: how much of it is read before it is refused.
        times: presentation times in seconds, `float64 [F]`.
        height: of the first picture, upright.
        width: likewise.
        duration_seconds: end of the last frame.
        lost: why some of the pictures are missing; empty if none is known to be.
    """

    video: Path
    limits: MediaLimits
    times: NDArray[np.float64] = field(repr=False)
    height: int
    width: int
    duration_seconds: float
    lost: str


def survey_video(
    pool: WorkerPool, video: Path, limits: MediaLimits | None = None, *, on_progress: OnProgress = lambda *_: None
) -> Survey:
    """Look through a video once.

    Args:
        pool: runs the decoder.
        video: the file.
        limits: how much is read before the file is refused; the defaults of `MediaLimits` unless given.
        on_progress: called with (frames read, None).

    Raises:
        UsageError: there is no such file.
        VideoError: it cannot be decoded.
    """
    limits = limits or MediaLimits()
    for message in named(pool.run(times_job, video, limits), video):
        if message.arrays:
            return Survey(video, limits, message.arrays["times"], **message.fields)
        on_progress(message.fields["num_frames"], None)
    raise AssertionError("the survey's last message has the times")


def write_preview(
    pool: WorkerPool,
    survey: Survey,
    output: Path,
    *,
    num_rows: int = 4,
    following: Following | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> list[str]:
    """Draw the views; the file appears whole or not at all.

    Args:
        pool: runs the decoder and the estimators.
        survey: of the video.
        output: ends in `.png`, for some moments one below the other, or in `.mp4`, for all frames at their times.
        num_rows: moments on a PNG, spread over the video; fewer if it has fewer frames.
        following: draw the window around people who are followed like this.
        on_progress: called with (frames drawn, frames in all).

    Returns:
        What a user should know: what is missing, and why.

    Raises:
        UsageError: see `check_output`; or the file cannot be written.
        VideoError: the video cannot be decoded.
    """
    check_output(output, [survey.video], suffixes=PREVIEW_SUFFIXES)
    is_film = output.suffix.lower() == ".mp4"
    plan = _plan(survey, None if is_film else num_rows, following)
    messages = named(pool.run(strip_job, plan), survey.video)
    facts = next(messages).fields
    strips = _strips(messages, lambda done: on_progress(done, plan.num_frames or len(survey.times)))
    legend = _legend(survey, facts)
    with output_file(output) as partial:
        if is_film:
            write_mp4(partial, _sheets(strips, legend))
        else:
            sheet = [strip for _, strip in strips]
            write_png(partial, draw_sheet(sheet, draw_legend(sheet[0].shape[1], legend)))
    lost = [f"pictures are lost: {survey.lost}"] if survey.lost else []
    return lost + list(dict.fromkeys(facts["missing"].values()))


def _plan(survey: Survey, num_rows: int | None, following: Following | None) -> StripPlan:
    root, entry = entry_of(survey.video)
    is_any_stored = any(view_path(root, view, entry.video_id).is_file() for view in VIEWS)
    content = content_sha256(survey.video) if is_any_stored else None
    if num_rows is None:
        return StripPlan(survey.video, survey.limits, content, following)
    wanted = _spread_frames(survey.times, num_rows)
    return StripPlan.of_frames(survey.video, survey.limits, content, following, wanted=wanted, times=survey.times)


def _spread_frames(times: NDArray[np.float64], num_rows: int) -> NDArray[np.int64]:
    """Numbers of the frames in the middle of equal parts of a video: `int64 [at most num_rows]`."""
    if len(times) <= num_rows:
        return np.arange(len(times))
    middles = (np.arange(num_rows) + 0.5) / num_rows * times[-1]
    return np.unique(nearest_frames(times, middles))


def _strips(messages: Iterator[Message], on_frame: Callable[[int], None]) -> Iterator[Frame]:
    for message in messages:
        on_frame(message.fields["num_frames"])
        if message.arrays:
            yield message.fields["seconds"], message.arrays["strip"]


def _sheets(strips: Iterator[Frame], legend: Legend) -> Iterator[Frame]:
    foot = None
    for seconds, strip in strips:
        foot = draw_legend(strip.shape[1], legend) if foot is None else foot
        yield seconds, draw_sheet([strip], foot)


def _legend(survey: Survey, facts: Mapping[str, Any]) -> Legend:
    size = f"{survey.width} x {survey.height}"
    length = f"{time_label(survey.duration_seconds)}, {len(survey.times)} frames"
    words = [Word(**word) for word in facts["words"]]
    return Legend(survey.video.name, f"{size}, {length}{', damaged' if survey.lost else ''}", words)
