"""Whether the stored views of a data set suit what is trained or judged: all views of all videos, in one round."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from cocon.core.errors import MissingViewError
from cocon.training.config.input_sections import DataSection
from cocon.training.data.reading.decoded_video import makers_here
from cocon.video.estimation.flow import FlowSpec
from cocon.video.reading.live import ViewRequest, needed_views
from cocon.video.store.dataset import VideoEntry
from cocon.video.store.fitness import UnfitViews, unfit_views

__all__ = ["check_views"]

_logger = logging.getLogger(__name__)


def check_views(
    entries: Sequence[VideoEntry],
    root: Path,
    requests: Mapping[str, ViewRequest],
    data: DataSection,
    *,
    is_trained: bool,
) -> None:
    """Refuse, before any video is read, a data set too many of whose videos lack a view; warn where fewer do.

    Too many are more than `data.max_failed_share` for training, and all of them for judging.

    Args:
        entries: the videos.
        root: dataset folder.
        requests: view → what is wanted of it.
        data: how many may be left out, and whether views of people need not be stored.
        is_trained: whether encoders are to be trained on them, which may be told to take another flow.

    Raises:
        MissingViewError: names every view with its number of videos, and the one command that makes all.
    """
    made_here = makers_here(makes_people=data.views_on_the_fly)
    unfit = unfit_views(root, [entry.store_id for entry in entries], needed_views(requests), made_here)
    if unfit is None:
        return
    told = f"{unfit}; make all that is missing: {unfit.command}{_instead(unfit) if is_trained else ''}"
    lacking = sum(entry.store_id in unfit.video_ids for entry in entries)
    if lacking > data.max_failed_share * len(entries) if is_trained else lacking == len(entries):
        raise MissingViewError(told)
    _logger.warning("%s", told)


def _instead(unfit: UnfitViews) -> str:
    """The settings by which training takes the flow that is there, where all of it measures the same."""
    there, wanted = unfit.measured, unfit.flow
    if there is None or wanted is None:
        return ""
    settings = " ".join(f"--set flow.{name}={value}" for name, value in _changes(there, wanted).items())
    return f"; or train on the flow that is there: {settings}" if settings else ""


def _changes(there: FlowSpec, wanted: FlowSpec) -> dict[str, str]:
    """Key of the section `flow` → its value for the flow that is there, where that is another than wanted."""
    before, now = (
        {"size_px": str(flow.size_px), "interval_seconds": f"{flow.interval_seconds:.9g}", "algorithm": flow.algorithm}
        for flow in (wanted, there)
    )
    return {name: value for name, value in now.items() if value != before[name]}
