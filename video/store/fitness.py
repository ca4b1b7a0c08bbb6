"""Whether the stored views of many videos suit a model, told of all at once at the price of opening their files.

    unfit = unfit_views(Path("videos"), ["a.mp4", "b.mp4"], {"flow": FlowSpec(size_px=64), "pose": None}, ("flow",))
    str(unfit)          # view 'pose' is not stored for 2 of 2 videos; view 'flow' measures another flow for 1 (…)
    unfit.command       # cocon views make videos --view flow,pose --flow-interval-s … --flow-size-px 64 …

That a view was made from another content, or that its frames are damaged, shows only when it is read.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cocon.video.estimation.flow import FLOW_ALGORITHMS, FlowSpec
from cocon.video.store.files import flow_differences, remedy, stored_facts, view_path
from cocon.video.store.stored_view import Attributes
from cocon.video.views import VIEWS

__all__ = ["UnfitViews", "unfit_views"]

# What `cocon views make` records of a flow that it has made; one without is from elsewhere, and kept unless told.
_SIZE_RECORDED = "flow_size_px"


@dataclass(frozen=True, slots=True)
class _Unfit:
    """Why one view of one video does not suit.

    Attributes:
        kind: in words that are the same for all videos.
        detail: in what it differs; empty where there is nothing to say.
        measured: what the flow that is there measures; None where that is not known, and for other views.
        is_kept: it is one that `cocon views make` leaves alone unless it is to overwrite.
    """

    kind: str
    detail: str = ""
    measured: FlowSpec | None = None
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class UnfitViews:
    """What is missing, or is there and does not suit.

    Attributes:
        root: dataset folder.
        num_videos: that were looked at.
        flow: what a flow view is to measure.
    """

    root: Path
    num_videos: int
    flow: FlowSpec | None
    _found: Mapping[str, Mapping[str, _Unfit]] = field(repr=False)  # view → video_id → why

    @property
    def video_ids(self) -> set[str]:
        """The videos that lack at least one view."""
        return {video_id for found in self._found.values() for video_id in found}

    @property
    def command(self) -> str:
        """The one command that makes all that is missing, as far as anybody but the user can."""
        again = any(unfit.is_kept for found in self._found.values() for unfit in found.values())
        made = remedy(self.root, *self._found, flow=self.flow if "flow" in self._found else None)
        # A single view is named too: what others there are need not be made.
        named = "" if " --view " in made else "".join(f" --view {view}" for view in self._found)
        return f"{made}{named}{' --overwrite' if again else ''}"

    @property
    def measured(self) -> FlowSpec | None:
        """What all flow that does not suit measures; None where that differs or is not known, or where it is absent."""
        measured = {unfit.measured for unfit in self._found.get("flow", {}).values()}
        return next(iter(measured)) if len(measured) == 1 else None

    def __str__(self) -> str:
        return "; ".join(self._said(view, found) for view, found in self._found.items())

    def _said(self, view: str, found: Mapping[str, _Unfit]) -> str:
        counts = Counter(unfit.kind for unfit in found.values())
        parts = [f"{kind} for {count} of {self.num_videos} videos" for kind, count in counts.most_common()]
        details = list(dict.fromkeys(unfit.detail for unfit in found.values() if unfit.detail))
        shown = f" ({details[0]}{', and others' if len(details) > 1 else ''})" if details else ""
        return f"view '{view}' {', '.join(parts)}{shown}"


def unfit_views(
    root: Path, video_ids: Iterable[str], flows: Mapping[str, FlowSpec | None], made_here: Collection[str]
) -> UnfitViews | None:
    """Look into the store for every view of every video.

    Args:
        root: dataset folder.
        video_ids: of whole videos.
        flows: view → what a flow must measure, None for the other views.
        made_here: makers (`VIEWS[view].maker`) whose views need not be stored, since they are made when they are read.

    Returns:
        What does not suit; None if all does.
    """
    ids = list(dict.fromkeys(video_ids))
    found: dict[str, dict[str, _Unfit]] = {}
    for view, flow in flows.items():
        if VIEWS[view].is_stored:
            looked_at = ((video_id, _why(root, view, video_id, flow, made_here)) for video_id in ids)
            if unfit := {video_id: why for video_id, why in looked_at if why is not None}:
                found[view] = unfit
    return UnfitViews(root, len(ids), flows.get("flow"), found) if found else None


def _why(root: Path, view: str, video_id: str, flow: FlowSpec | None, made_here: Collection[str]) -> _Unfit | None:
    facts = stored_facts(root, view, video_id)
    if facts is None:
        if view_path(root, view, video_id).is_file():
            return _Unfit("is damaged")
        return None if VIEWS[view].maker in made_here else _Unfit("is not stored")
    attributes, size_px = facts["attributes"], min(facts["height"], facts["width"])
    if view != "flow" or flow is None or not (differences := flow_differences(attributes, size_px, flow)):
        return None
    is_kept = "source_sha256" in attributes or _SIZE_RECORDED not in attributes
    return _Unfit("measures another flow", ", ".join(differences), _measured(attributes, size_px, flow), is_kept)


def _measured(attributes: Attributes, size_px: int, wanted: FlowSpec) -> FlowSpec | None:
    """What a stored flow measures, as a model would have to want it."""
    interval, algorithm = attributes.get("flow_interval_seconds"), attributes.get("flow_algorithm")
    if not isinstance(interval, float | int):
        return None
    named = next((known for known in FLOW_ALGORITHMS if known == algorithm), wanted.algorithm)
    try:
        return FlowSpec(float(interval), named, size_px)
    except ValueError:
        return None
