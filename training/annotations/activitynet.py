"""Untrimmed videos, and which actions they show when, in ActivityNet's form.

    {"database": {"sJn0r4h9U4w": {"duration": 93.4, "subset": "training",
                                  "annotations": [{"segment": [3.1, 40.25], "label": "Archery"}, …]}, …}}

Everything else in the file is passed over. `read_activitynet` brings the annotations and the videos on disk together.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cocon.core.errors import UsageError
from cocon.core.paths import real_path
from cocon.core.printable import printable
from cocon.core.texts.text_files import read_text
from cocon.embedding.locating.proposals import Segment
from cocon.training.data.split_files import ListedVideo, match_videos
from cocon.video.store.dataset import DatasetFolder

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Subset", "UntrimmedVideo", "read_activitynet"]

_logger = logging.getLogger(__name__)

Subset = Literal["training", "validation", "testing"]
# The official segments pass the end of their video by some frames at times.
_TOLERANCE_SECONDS = 1.0
_LONGEST_VALUE = 60
_FILE_NAMES = ("annotations.json", "activity_net*.json")


@dataclass(frozen=True, slots=True)
class UntrimmedVideo:
    """A video and its actions.

    Attributes:
        video_id: as the folder gives it, so that stored views are found; not ActivityNet's.
        path: the video file.
        subset: `training`, `validation` or `testing`.
        duration_seconds: as annotated.
        segments: true actions in order of time, with labels; none in the official testing subset.
    """

    video_id: str
    path: Path
    subset: Subset
    duration_seconds: float
    segments: tuple[Segment, ...]

    def cut(self, duration_seconds: float) -> "UntrimmedVideo":
        """The same, as far as the file goes: actions that begin behind its end are left out, others end there.

        It is said when that is more than what official segments pass the end of their video by at times.

        Args:
            duration_seconds: of the file.
        """
        if duration_seconds >= self.duration_seconds:
            return self
        shown = [segment for segment in self.segments if segment.start_seconds < duration_seconds]
        missing_seconds = max((s.end_seconds - duration_seconds for s in self.segments), default=0.0)
        if len(shown) < len(self.segments) or missing_seconds > _TOLERANCE_SECONDS:
            _logger.warning(
                "video '%s' ends at %.1f s, its annotations at %.1f s: %d of %d actions are left out, the others cut",
                self.video_id,
                duration_seconds,
                duration_seconds + missing_seconds,
                len(self.segments) - len(shown),
                len(self.segments),
            )
        ends = [min(segment.end_seconds, duration_seconds) for segment in shown]
        segments = tuple(replace(segment, end_seconds=end) for segment, end in zip(shown, ends, strict=True))
        return replace(self, duration_seconds=duration_seconds, segments=segments)


def read_activitynet(folder: Path, annotations: Path | None = None) -> tuple[UntrimmedVideo, ...]:
    """The annotated videos that are on disk.

    A video is known by its name without ending, with or without a leading `v_`, in any folder; upper and lower case are
    the same. Annotated videos that are not there, and videos without annotations, are left out and said, as are
    segments without length, which the official file has.

    Args:
        folder: of the videos, with a manifest or without.
        annotations: the JSON file; by default `annotations.json` or `activity_net*.json` in the folder or beside it.

    Returns:
        In the order of the folder. Segments that pass the annotated end by up to a second end there.

    Raises:
        UsageError: there is no such folder, file or video, or the file is damaged; its first wrong entry is named.
    """
    dataset = DatasetFolder.open(folder)
    path = annotations or _find_annotations(folder)
    entries = _read(path).database
    listed = [
        # The entry's own name travels as the group, which brings the two together again.
        ListedVideo(entry.subset, (name, f"v_{name}", name.removeprefix("v_")), "", entry.subset, group=name)
        for name, entry in entries.items()
    ]
    found = [(video, entries[video.group]) for video in match_videos(dataset, listed, "activitynet").videos]
    videos = tuple(
        UntrimmedVideo(video.video_id, video.path, entry.subset, entry.duration, _segments(entry))
        for video, entry in found
    )
    num_annotated = sum(len(entry.annotations) for _, entry in found)
    if num_empty := num_annotated - sum(len(video.segments) for video in videos):
        _logger.warning(
            "%d of %d segments in '%s' have no length and are left out", num_empty, num_annotated, printable(path)
        )
    return videos


def _in_order(segment: tuple[float, float]) -> tuple[float, float]:
    start, end = segment
    if start < 0:
        raise ValueError("a segment must not begin before 0")
    if end < start:
        raise ValueError("a segment must not end before it begins")
    return segment


_Seconds = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Annotation(_Part):
    segment: Annotated[tuple[_Seconds, _Seconds], AfterValidator(_in_order)]
    label: Annotated[str, Field(min_length=1)]


class _Entry(_Part):
    duration: Annotated[_Seconds, Field(gt=0)]
    subset: Subset
    annotations: list[_Annotation] = []

    @model_validator(mode="after")
    def _segments_lie_in_the_video(self) -> "_Entry":
        for annotation in self.annotations:
            if annotation.segment[1] > self.duration + _TOLERANCE_SECONDS:
                raise ValueError(
                    f"segment {list(annotation.segment)} must not end more than {_TOLERANCE_SECONDS} s after the "
                    f"duration ({self.duration})"
                )
        return self


class _File(_Part):
    database: dict[str, _Entry]


def _find_annotations(folder: Path) -> Path:
    for place in (folder, real_path(folder).parent):
        for pattern in _FILE_NAMES:
            if found := sorted(path for path in place.glob(pattern) if path.is_file()):
                return found[0]
    raise UsageError(
        f"dataset '{printable(folder)}' has no annotations of its actions ({' or '.join(_FILE_NAMES)}), nor are they "
        "beside it; get ActivityNet's from http://activity-net.org, or make a set: cocon data make --untrimmed"
    )


def _read(path: Path) -> _File:
    try:
        return _File.model_validate_json(read_text(path, "annotations"))
    except OSError as error:
        raise UsageError(f"annotations '{printable(path)}' cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        more = f" (and {len(others)} more)" if others else ""
        raise UsageError(f"annotations '{printable(path)}': {_problem(first)}{more}") from error


def _problem(error: "ErrorDetails") -> str:
    """What is wrong where, in one line."""
    where = [str(part) for part in error["loc"]]
    if where[:1] == ["database"] and len(where) > 1:
        where = [f"entry '{where[1]}'", *where[2:]]
    given = error["input"]
    is_short = isinstance(given, bool | int | float | list) and len(repr(given)) <= _LONGEST_VALUE
    if isinstance(given, str) and error["loc"]:
        given, is_short = given[:_LONGEST_VALUE], True
    value = f" ({given})" if is_short else ""
    place = f"{' '.join(where)}{value}: " if where else ""
    return " ".join(f"{place}{error['msg']}".split())


def _segments(entry: _Entry) -> tuple[Segment, ...]:
    """Within the video, in order of time; those without length are left out."""
    bounds = ((*annotation.segment, annotation.label) for annotation in entry.annotations)
    cut = sorted((start, min(end, entry.duration), label) for start, end, label in bounds)
    return tuple(Segment(start, end, label=label) for start, end, label in cut if start < end)
