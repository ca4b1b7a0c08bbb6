"""Dataset folders: videos with optional labels, groups and splits.

    folder/manifest.csv     video_id, path, label, group, split, start_seconds, end_seconds   (all but path optional)
    folder/views/...        the multi-view store

Without a manifest every video file counts. Its id is its path in the folder, parts joined by `__`; sub-folders are its
label, and its split where they are called like one (`layout.py`): `jump/a.mp4` is `jump__a.mp4`, a `jump`.

A row with seconds is a part of its video: `a` from 12.5 to 18 is `a#12.5-18`, and its views are those of `a`.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import check_folder
from cocon.core.printable import escaped, printable, unescaped
from cocon.core.texts.csv_rows import CsvRow, csv_rows
from cocon.core.texts.text_files import named_path
from cocon.video.store.found_videos import LeftOut, find_videos
from cocon.video.store.layout import MAX_ID_BYTES, FolderLayout, id_of, label_and_split, layout_of

__all__ = ["DatasetFolder", "VideoEntry", "content_sha256", "known_sha256", "part_name", "read_manifest"]

# Of a manifest, which are fields of their own.
_NO_COLUMNS = ("path", "label", "start_seconds", "end_seconds")


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """One video of a dataset.

    Attributes:
        video_id: unique in the dataset.
        path: the video file.
        label: class name, or empty.
        group: videos of one group must not be split between training and judging; empty is a group of its own.
        split: `train`, `test`, another name, or empty.
        columns: what the manifest says besides path, label and seconds, by column; nothing without a manifest.
        start_seconds: where the part begins that is meant, after the first frame.
        end_seconds: where it ends; infinite for the end of the video.
    """

    video_id: str
    path: Path
    label: str = ""
    group: str = ""
    split: str = ""
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    start_seconds: float = 0.0
    end_seconds: float = math.inf

    @property
    def is_part(self) -> bool:
        """Whether a part of the video is meant."""
        return self.start_seconds > 0 or self.end_seconds < math.inf

    @property
    def store_id(self) -> str:
        """The id of the whole video, which names its files in the store."""
        return self.video_id.removesuffix(part_name(self.start_seconds, self.end_seconds))

    def whole(self) -> "VideoEntry":
        """The video that this is a part of, whose label nobody knows; itself if it is none."""
        if not self.is_part:
            return self
        return replace(self, video_id=self.store_id, label="", start_seconds=0.0, end_seconds=math.inf)


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """A folder of videos.

    Attributes:
        root: the folder.
        videos: its videos, in the order of the manifest or of their paths.
        left_out: what else lies in it, by kind; nothing where a manifest says what belongs to it.
        layout: how its folders were understood; likewise.
    """

    root: Path
    videos: tuple[VideoEntry, ...]
    left_out: tuple[LeftOut, ...] = ()
    layout: FolderLayout = field(default_factory=FolderLayout)

    @classmethod
    def open(cls, root: Path) -> "DatasetFolder":
        """Read the manifest, or else list the video files.

        Raises:
            UsageError: no such folder, no videos, two of one id, or a wrong manifest (the line is named).
        """
        if root.is_file():
            raise UsageError(f"dataset folder '{printable(root)}' is a file; name the folder that it lies in")
        check_folder(root, "dataset folder", remedy="name a folder of videos, or make one: cocon data make")
        manifest = root / "manifest.csv"
        dataset = cls(root, tuple(read_manifest(root, manifest))) if manifest.is_file() else _from_files(root)
        if not dataset.videos:
            raise UsageError(
                "; ".join([f"dataset folder '{printable(root)}' has no videos", *map(str, dataset.left_out)])
            )
        _check_unique(root, dataset.videos)
        return dataset

    def split(self, name: str) -> tuple[VideoEntry, ...]:
        """Videos of a split; a dataset without splits is all `train`.

        Raises:
            UsageError: its folders do not tell which videos are of which split.
        """
        if self.layout.problem:
            raise UsageError(self.layout.problem)
        if not any(video.split for video in self.videos):
            return self.videos if name == "train" else ()
        return tuple(video for video in self.videos if video.split == name)

    def of_whole_videos(self) -> "DatasetFolder":
        """The same with every video once and as a whole, for what is made of files or judged of them."""
        return replace(self, videos=tuple({entry.store_id: entry.whole() for entry in self.videos}.values()))

    @property
    def files(self) -> list[Path]:
        """What it is read from: the manifest, which need not be there, and the videos."""
        return [self.root / "manifest.csv", *(video.path for video in self.videos)]

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names of the training split, sorted."""
        return tuple(sorted({video.label for video in self.split("train") if video.label}))


def content_sha256(path: Path) -> str:
    """Identity of a file, whatever it is called and wherever it lies: its bytes' sha256, 64 hexadecimal digits.

    Raises:
        OSError: it is not there or cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def known_sha256(path: Path) -> str:
    """`content_sha256` of a file that is asked for again and again: it is read once in a process, until it changes."""
    state = path.stat()
    return _sha256_of(path, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


def read_manifest(root: Path, manifest: Path) -> list[VideoEntry]:
    """The videos that a manifest names, `root` being the folder that their paths start from.

    Raises:
        UsageError: it is wrong; the line is named.
    """
    return [_entry(root, f"'{printable(manifest)}' line {line}", row) for line, row in csv_rows(manifest, "path")]


@lru_cache(maxsize=1 << 16)
def _sha256_of(path: Path, *state: int) -> str:
    """The sha256 of a file in a state of it, by which it is remembered."""
    return content_sha256(path)


def _check_unique(root: Path, videos: Iterable[VideoEntry]) -> None:
    seen: dict[str, VideoEntry] = {}
    for video in videos:
        first = seen.setdefault(video.video_id, video)
        if first is not video:
            raise UsageError(
                f"dataset '{printable(root)}' has video_id '{printable(video.video_id)}' twice, for "
                f"'{printable(first.path)}' and '{printable(video.path)}'; ids "
                "must be unique: rename a file, or give ids in manifest.csv"
            )
    paths: dict[str, Path] = {}
    for video in videos:
        if paths.setdefault(video.store_id, video.path) != video.path:
            raise UsageError(
                f"dataset '{printable(root)}' has video_id '{printable(video.store_id)}' for parts of "
                f"'{printable(paths[video.store_id])}' and of '{printable(video.path)}'; give ids in manifest.csv"
            )


def _entry(root: Path, line: str, row: CsvRow) -> VideoEntry:
    if not row["path"].strip():
        raise UsageError(f"{line}: path is empty")
    path = named_path(row["path"], root)
    given = row.get("video_id", "").strip()
    video_id = unescaped(given) if given else path.stem
    shown = printable(escaped(video_id))
    if Path(video_id).name != video_id:
        raise UsageError(f"{line}: video_id '{shown}' must not contain a path separator")
    if len(os.fsencode(video_id)) > MAX_ID_BYTES:
        raise UsageError(f"{line}: video_id '{shown}' is longer than {MAX_ID_BYTES} bytes; give a shorter one")
    label, group, split = (row.get(column, "").strip() for column in ("label", "group", "split"))
    columns = {name: value.strip() for name, value in row.items() if name and name not in _NO_COLUMNS}
    start, end = (
        _seconds(row, name, line, default) for name, default in (("start_seconds", 0.0), ("end_seconds", math.inf))
    )
    if not start < end:
        raise UsageError(f"{line}: end_seconds ({end:g}) must be greater than start_seconds ({start:g})")
    if part := part_name(start, end):
        video_id, group = video_id + part, group or video_id  # the parts of a video are one group
    return VideoEntry(video_id, root / path, label, group, split, columns, start, end)


def _seconds(row: CsvRow, name: str, line: str, default: float) -> float:
    text = row.get(name, "").strip()
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = math.nan
    if not seconds >= 0 or (text and not math.isfinite(seconds)):
        raise UsageError(f"{line}: {name} ('{printable(text)}') must be seconds from 0, or empty")
    return seconds


def part_name(start_seconds: float, end_seconds: float) -> str:
    """What is behind the id of a video for a part of it; nothing for all of it."""
    start, end = (_written(seconds) if 0 < seconds < math.inf else "" for seconds in (start_seconds, end_seconds))
    return f"#{start}-{end}" if start or end else ""


def _written(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _from_files(root: Path) -> DatasetFolder:
    found = find_videos(root)
    relative = [path.relative_to(root) for path in found.videos]
    videos = (
        VideoEntry(id_of(place), path, label, split=split)
        for path, place in zip(found.videos, relative, strict=True)
        for label, split in [label_and_split(place)]
    )
    return DatasetFolder(root, tuple(videos), found.left_out, layout_of(root, relative))
