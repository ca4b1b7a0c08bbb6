"""The labels of an index as a manifest that `cocon train` and `cocon evaluate` read, a row for each labelled part.

done = export_labels(index, Path("labelled/manifest.csv"), test_share=0.25)
print(done.num_rows, done.label_counts)
"""

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.records import IndexedVideo
from cocon.core.errors import UsageError
from cocon.core.printable import escaped, printable
from cocon.video.output_file import check_output, output_file
from cocon.video.store.layout import id_of

__all__ = ["LabelsReport", "export_labels", "manifest_path"]

_COLUMNS = ("video_id", "path", "label", "group", "split", "start_seconds", "end_seconds")
# What is left of a labelled video between parts of other labels, and too short to show anything.
_MIN_REST_S = 1.0
_SEED = 0


class _HasVideos(Protocol):
    def videos(self, filters: Filters = NO_FILTERS) -> Sequence[IndexedVideo]:
        """Videos by path."""
        ...


@dataclass(frozen=True, slots=True)
class LabelsReport:
    """What was written.

    Attributes:
        num_rows: Labelled videos and parts of videos, and those without label.
        num_videos: Contents that they are of.
        label_counts: Label → rows.
        split_counts: Split → rows.
    """

    num_rows: int
    num_videos: int
    label_counts: Mapping[str, int]
    split_counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the manifest, named as its columns; seconds are empty where it is of a whole video."""

    video_id: str
    path: str
    label: str
    group: str
    split: str
    start_seconds: str
    end_seconds: str


def manifest_path(target: Path) -> Path:
    """The file that is meant by a name: itself, or `manifest.csv` in a folder."""
    return target if target.suffix.lower() == ".csv" and not target.is_dir() else target / "manifest.csv"


def export_labels(
    index: _HasVideos,
    file: Path,
    filters: Filters = NO_FILTERS,
    *,
    test_share: float = 0.0,
    has_unlabelled: bool = False,
    overwrite: bool = False,
) -> LabelsReport:
    """Write the labels of an index. A content at several places is written once, at the first that has a label.

    Videos keep group and split that a manifest has told; else each is a group of its own, and of each label a share of
    the groups is for testing. A label of a whole video holds where no part of it has another one.

    Args:
        index: Of the videos.
        file: To write, `.csv`; the folder it lies in is the one to train with if it is called `manifest.csv`.
        filters: What videos must meet.
        test_share: Of the videos of each label that no manifest has a split for, from 0 to below 1.
        has_unlabelled: Also those without label, from which encoders can learn.
        overwrite: Also where there is such a file.

    Raises:
        UsageError: There is nothing to write, the file is there, or the share is out of range.
        StorageError: The disk takes no more.
    """
    if not 0 <= test_share < 1:
        raise UsageError(f"test_share ({test_share}) must be at least 0 and below 1")
    check_output(file, suffixes=(".csv",), option="export-labels")
    if file.exists() and not overwrite:
        raise UsageError(f"'{printable(file)}' is there already; name another file or folder, or give --overwrite")
    videos = _once(index.videos(filters), has_unlabelled=has_unlabelled)
    if not any(video.label or video.moments for video in videos):
        raise UsageError("no video that is chosen has a label; 'client index label VIDEO LABEL' gives one")
    rows = list(_rows(videos, file.absolute().parent, test_share))
    with (
        output_file(file, option="export-labels") as partial,
        partial.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        writer.writerows(map(asdict, rows))
    labels = Counter(row.label for row in rows if row.label)
    return LabelsReport(len(rows), len(videos), dict(labels.most_common()), dict(Counter(row.split for row in rows)))


def _once(places: Iterable[IndexedVideo], *, has_unlabelled: bool) -> list[IndexedVideo]:
    """Of each content the first place that has a label, or the first, by path."""
    chosen: dict[int, IndexedVideo] = {}
    for place in places:
        held = chosen.get(place.video_id)
        is_first = held is None or not (held.label or held.moments)
        if is_first and (place.label or place.moments or (has_unlabelled and held is None)):
            chosen[place.video_id] = place
    return sorted(chosen.values(), key=lambda video: video.video)


def _rows(videos: Sequence[IndexedVideo], folder: Path, test_share: float) -> Iterator[_Row]:
    common = os.path.commonpath([os.path.dirname(video.video) for video in videos])  # noqa: PTH120
    groups = {video.video_id: str(video.metadata.get("group") or _id(video, folder, common)) for video in videos}
    splits = _splits(videos, groups, test_share)
    for video in videos:
        path = Path(video.video)
        written = path.relative_to(folder) if path.is_relative_to(folder) else path
        told = _id(video, folder, common), escaped(written)
        for label, times in _labelled_parts(video):
            yield _Row(*told, label, groups[video.video_id], splits[video.video_id], *times)


def _id(video: IndexedVideo, folder: Path, common: str) -> str:
    """The id that a video has in a folder without manifest, so that its stored views are found there."""
    path = Path(video.video)
    return escaped(id_of(path.relative_to(folder if path.is_relative_to(folder) else common)))


def _splits(videos: Sequence[IndexedVideo], groups: Mapping[int, str], test_share: float) -> dict[int, str]:
    """Id of a content → its split; those of one group are together."""
    of_groups = {groups[v.video_id]: str(v.metadata["split"]) for v in videos if v.metadata.get("split")}
    undecided: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for video in videos:
        if groups[video.video_id] not in of_groups and (video.label or video.moments):
            undecided[video.label or video.moments[0].label][groups[video.video_id]] = None
    rng = np.random.default_rng(_SEED)
    for label in sorted(undecided):
        names = [name for name in sorted(undecided[label]) if name not in of_groups]
        num_test = min(round(test_share * len(names)), len(names) - 1)  # one at least is learned from
        tested = {names[place] for place in rng.permutation(len(names))[: max(0, num_test)]}
        of_groups |= {name: "test" if name in tested else "train" for name in names}
    return {video.video_id: of_groups.get(groups[video.video_id], "train") for video in videos}


def _labelled_parts(video: IndexedVideo) -> Iterator[tuple[str, tuple[str, str]]]:
    """Label, start and end of each part of a video, by time; of a whole one the latter are empty."""
    if not video.moments:
        yield video.label or "", ("", "")
        return
    parts = [(moment.label, moment.start_seconds, moment.end_seconds) for moment in video.moments]
    if video.label:
        ends = [0.0, *(moment.end_seconds for moment in video.moments)]
        starts = [*(moment.start_seconds for moment in video.moments), video.duration_seconds]
        parts += [(video.label, end, start) for end, start in zip(ends, starts, strict=True)]
    for label, start, end in sorted(parts, key=lambda part: part[1:]):
        if label != video.label or end - start >= _MIN_REST_S:
            yield label, (_written(start), _written(end))


def _written(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
