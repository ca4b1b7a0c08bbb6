"""Which dataset folder a video file belongs to, wherever it lies: for its stored views, and its label."""

import logging
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import real_path
from cocon.video.store.dataset import VideoEntry, read_manifest
from cocon.video.store.layout import id_of, label_and_split

__all__ = ["columns_of", "entry_of", "label_of"]

_logger = logging.getLogger(__name__)


def entry_of(video: Path) -> tuple[Path, VideoEntry]:
    """Dataset folder and entry of a video file, wherever it lies.

    The nearest manifest above it that names it decides; else the nearest folder above it that has a store, or the
    video's own folder, with the id that the video has there without a manifest. Both are looked for where the video is
    said to be, then where symbolic links lead.
    """
    above = _folders_above(video)
    if listed := _listed_entry(above, video):
        return listed[0], listed[1].whole()
    root = next(filter(_has_store, above), next(iter(above)))
    relative = above[root].relative_to(root)
    label, split = label_and_split(relative)
    return root, VideoEntry(id_of(relative), above[root], label, split=split)


def label_of(video: Path, folders: Iterable[Path] = ()) -> str | None:
    """Class of a video file; empty if a manifest says that it has none, None if nothing tells, or of parts alone.

    The manifest decides that `entry_of` goes by; else the sub-folders of the nearest folder that has a store, or of one
    of `folders` where that lies further up.

    Args:
        video: the file.
        folders: of videos, such as somebody named.
    """
    above = _folders_above(video)
    if listed := _listed_entry(above, video):
        return None if listed[1].is_part else listed[1].label
    named = {Path(os.path.abspath(folder)) for folder in folders}  # noqa: PTH100  # Path.resolve follows links
    store = next(filter(_has_store, above), None)
    roots = [folder for folder in above if folder == store or folder in named]
    if not roots:
        return None
    root = [folder for folder in roots if above[folder] == above[roots[0]]][-1]
    return label_and_split(above[root].relative_to(root))[0] or None


def columns_of(video: Path) -> Mapping[str, str]:
    """What the manifest that `entry_of` goes by says of a video besides path and label; nothing without one."""
    listed = _listed_entry(_folders_above(video), video)
    return listed[1].columns if listed else {}


def _folders_above(video: Path) -> dict[Path, Path]:
    """Folders above a video, the nearest first, and then those of where links lead: with its path there."""
    named = Path(os.path.abspath(video))  # noqa: PTH100  # Path.resolve follows links
    folders = dict.fromkeys(named.parents, named)
    for folder in (behind_links := real_path(video)).parents:
        folders.setdefault(folder, behind_links)
    return folders


def _has_store(folder: Path) -> bool:
    return (folder / "views").is_dir()


def _listed_entry(folders: Iterable[Path], video: Path) -> tuple[Path, VideoEntry] | None:
    """The nearest folder whose manifest names a video, and its entry."""
    behind_links = real_path(video)
    for root in folders:
        manifest = root / "manifest.csv"
        if manifest.is_file() and (entry := _listed(manifest, manifest.stat().st_mtime_ns).get(behind_links)):
            return root, entry
    return None


@lru_cache(maxsize=8)
def _listed(manifest: Path, changed_ns: int) -> dict[Path, VideoEntry]:
    """Video → entry, of a part where none is of all of it; `changed_ns`: an edited manifest is read again."""
    try:
        entries = sorted(read_manifest(manifest.parent, manifest), key=lambda entry: not entry.is_part)
        return {real_path(entry.path): entry for entry in entries}
    except (UsageError, OSError) as error:
        _logger.warning("labels and stored views are not looked up: %s", error)
        return {}
