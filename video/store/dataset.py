"""Dataset folders: videos with optional labels, groups and splits.

    folder/manifest.csv     video_id, path, label, group, split   (all but path optional)
    folder/views/...        the multi-view store

Without a manifest every video file counts. Its id is its path in the folder, parts joined by `__`; sub-folders are its
label, and its split where they are called like one (`layout.py`): `jump/a.mp4` is `jump__a.mp4`, a `jump`.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import check_folder
from cocon.core.printable import escaped, printable, unescaped
from cocon.core.texts.csv_rows import CsvRow, csv_rows
from cocon.core.texts.text_files import named_path
from cocon.video.store.found_videos import LeftOut, find_videos
from cocon.video.store.layout import MAX_ID_BYTES, FolderLayout, id_of, label_and_split, layout_of

__all__ = ["DatasetFolder", "VideoEntry", "content_sha256", "read_manifest"]


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """One video of a dataset.

    Attributes:
        video_id: unique in the dataset; names its files in the store.
        path: the video file.
        label: class name, or empty.
        group: videos of one group must not be split between training and judging; empty is a group of its own.
        split: `train`, `test`, another name, or empty.
        columns: what the manifest says besides path and label, by column; nothing without a manifest.
    """

    video_id: str
    path: Path
    label: str = ""
    group: str = ""
    split: str = ""
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)


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


def read_manifest(root: Path, manifest: Path) -> list[VideoEntry]:
    """The videos that a manifest names, `root` being the folder that their paths start from.

    Raises:
        UsageError: it is wrong; the line is named.
    """
    return [_entry(root, f"'{printable(manifest)}' line {line}", row) for line, row in csv_rows(manifest, "path")]


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
    columns = {name: value.strip() for name, value in row.items() if name and name not in ("path", "label")}
    return VideoEntry(video_id, root / path, label, group, split, columns)


def _from_files(root: Path) -> DatasetFolder:
    found = find_videos(root)
    relative = [path.relative_to(root) for path in found.videos]
    videos = (
        VideoEntry(id_of(place), path, label, split=split)
        for path, place in zip(found.videos, relative, strict=True)
        for label, split in [label_and_split(place)]
    )
    return DatasetFolder(root, tuple(videos), found.left_out, layout_of(root, relative))
