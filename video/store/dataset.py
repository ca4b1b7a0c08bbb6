"""Dataset folders: videos with optional labels, groups and splits.

    folder/manifest.csv     video_id, path, label, group, split   (all but path optional)
    folder/views/...        the multi-view store

Without a manifest every video file counts. Its id is its path in the folder, parts joined by `__`, and the name of its
sub-folder is its label: `jump/a.mp4` is `jump__a.mp4`, a `jump`.
"""

import csv
import hashlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import check_folder
from cocon.video.store.found_videos import LeftOut, find_videos

__all__ = ["DatasetFolder", "VideoEntry", "content_sha256", "entry_of"]

_logger = logging.getLogger(__name__)

# File systems take names of 255 bytes; the store adds an ending, and marks what is being written.
_MAX_ID_BYTES = 200


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """One video of a dataset.

    Attributes:
        video_id: unique in the dataset; names its files in the store.
        path: the video file.
        label: class name, or empty.
        group: videos of one group must not be split between training and judging; empty is a group of its own.
        split: `train`, `test`, another name, or empty.
    """

    video_id: str
    path: Path
    label: str = ""
    group: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """A folder of videos.

    Attributes:
        root: the folder.
        videos: its videos, in the order of the manifest or of their paths.
        left_out: what else lies in it, by kind; nothing where a manifest says what belongs to it.
    """

    root: Path
    videos: tuple[VideoEntry, ...]
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def open(cls, root: Path) -> "DatasetFolder":
        """Read the manifest, or else list the video files.

        Raises:
            UsageError: no such folder, no videos, two of one id, or a wrong manifest (the line is named).
        """
        if root.is_file():
            raise UsageError(f"dataset folder '{root}' is a file; name the folder that it lies in")
        check_folder(root, "dataset folder", remedy="name a folder of videos, or make one: cocon data make")
        manifest = root / "manifest.csv"
        found = None if manifest.is_file() else find_videos(root)
        videos = _from_manifest(root, manifest) if found is None else _from_files(root, found.videos)
        left_out = () if found is None else found.left_out
        if not videos:
            raise UsageError("; ".join([f"dataset folder '{root}' has no videos", *map(str, left_out)]))
        _check_unique(root, videos)
        return cls(root, tuple(videos), left_out)

    def split(self, name: str) -> tuple[VideoEntry, ...]:
        """Videos of a split; a dataset without splits is all `train`."""
        if not any(video.split for video in self.videos):
            return self.videos if name == "train" else ()
        return tuple(video for video in self.videos if video.split == name)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names of the training split, sorted."""
        return tuple(sorted({video.label for video in self.split("train") if video.label}))


def entry_of(video: Path) -> tuple[Path, VideoEntry]:
    """Dataset folder and entry of a video file, wherever it lies.

    The nearest manifest above it that names it decides; else the nearest folder above it that has a store, or the
    video's own folder, with the id that the video has there without a manifest. Both are looked for where the video is
    said to be, then where symbolic links lead.
    """
    named = Path(os.path.abspath(video))  # noqa: PTH100  # Path.resolve follows links
    behind_links = video.resolve()
    roots = list(dict.fromkeys([*named.parents, *behind_links.parents]))
    for root in roots:
        manifest = root / "manifest.csv"
        if manifest.is_file() and (entry := _listed(manifest, manifest.stat().st_mtime_ns).get(behind_links)):
            return root, entry
    root = next((folder for folder in roots if (folder / "views").is_dir()), named.parent)
    path = named if root in named.parents else behind_links
    relative = path.relative_to(root)
    return root, VideoEntry(_video_id(relative), path, label=relative.parent.name)


def content_sha256(path: Path) -> str:
    """Identity of a file, whatever it is called and wherever it lies: its bytes' sha256, 64 hexadecimal digits.

    Raises:
        OSError: it is not there or cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _from_manifest(root: Path, manifest: Path) -> list[VideoEntry]:
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if "path" not in (rows.fieldnames or ()):
                raise UsageError(f"'{manifest}' has no column 'path'; its columns: {', '.join(rows.fieldnames or ())}")
            return [_entry(root, manifest, rows.line_num, row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"'{manifest}' cannot be read as UTF-8 text with commas: {error}") from error


def _check_unique(root: Path, videos: list[VideoEntry]) -> None:
    seen: dict[str, VideoEntry] = {}
    for video in videos:
        first = seen.setdefault(video.video_id, video)
        if first is not video:
            raise UsageError(
                f"dataset '{root}' has video_id '{video.video_id}' twice, for '{first.path}' and '{video.path}'; ids "
                "must be unique: rename a file, or give ids in manifest.csv"
            )


def _entry(root: Path, manifest: Path, line: int, row: dict[str, str | None]) -> VideoEntry:
    path = (row["path"] or "").strip()
    if not path:
        raise UsageError(f"'{manifest}' line {line}: path is empty")
    video_id = (row.get("video_id") or "").strip() or Path(path).stem
    if Path(video_id).name != video_id:
        raise UsageError(f"'{manifest}' line {line}: video_id '{video_id}' must not contain a path separator")
    if len(os.fsencode(video_id)) > _MAX_ID_BYTES:
        raise UsageError(
            f"'{manifest}' line {line}: video_id '{video_id}' is longer than {_MAX_ID_BYTES} bytes; give a shorter one"
        )
    label, group, split = ((row.get(column) or "").strip() for column in ("label", "group", "split"))
    return VideoEntry(video_id, root / path, label, group, split)


def _from_files(root: Path, videos: Iterable[Path]) -> list[VideoEntry]:
    return [
        VideoEntry(_video_id(relative), path, label=relative.parent.name)
        for path in videos
        for relative in [path.relative_to(root)]
    ]


def _video_id(relative: Path) -> str:
    """Id of a video that no manifest names, by its path in the dataset folder."""
    video_id = "__".join(relative.parts)
    encoded = os.fsencode(video_id)
    if len(encoded) <= _MAX_ID_BYTES:
        return video_id
    digest = hashlib.sha256(encoded).hexdigest()[:32]
    return f"{digest}__{os.fsencode(relative.name)[-100:].decode(errors='ignore')}"


@lru_cache(maxsize=8)
def _listed(manifest: Path, changed_ns: int) -> dict[Path, VideoEntry]:
    """Video → entry; `changed_ns` keeps an edited manifest from being remembered as it was."""
    try:
        return {entry.path.resolve(): entry for entry in _from_manifest(manifest.parent, manifest)}
    except (UsageError, OSError) as error:
        _logger.warning("labels and stored views are not looked up: %s", error)
        return {}
