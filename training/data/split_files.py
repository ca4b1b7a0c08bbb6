"""Official split files of standard datasets: where they are looked for, and which videos on disk they mean."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import real_path
from cocon.core.printable import escaped, printable
from cocon.training.config.input_sections import DataSection
from cocon.video.store.dataset import DatasetFolder, VideoEntry
from cocon.video.store.found_videos import VIDEO_SUFFIXES, warn_of_left_out

__all__ = ["ListedVideo", "bare_stem", "find_split_files", "match_videos"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """One video as an official list names it.

    Attributes:
        folder: name of the folder that it should lie in.
        stems: file names without endings that it may have.
        label: class name.
        split: `train`, `test`, or empty for one that this split leaves out.
        group: as in `VideoEntry`.
    """

    folder: str
    stems: tuple[str, ...]
    label: str
    split: str
    group: str = ""


def find_split_files(
    data: DataSection, folder_name: str, pattern: str, remedy: str, is_one: Callable[[Path], bool] = Path.is_file
) -> list[Path]:
    """Split files in `data.split_files`, or else in the dataset folder or beside it.

    Args:
        data: where to look.
        folder_name: what the folder with the official files is called when unpacked.
        pattern: glob of the files' names.
        remedy: where to get them.
        is_one: whether a file of such a name is one.

    Returns:
        The files of the first place that has any, sorted by name.

    Raises:
        UsageError: no place has any.
    """
    roots = [data.split_files] if data.split_files else [data.folder, real_path(data.folder).parent]
    places = [place for root in roots for place in (root, root / folder_name)]
    for place in places:
        found = (path for path in sorted(place.glob(pattern)) if not path.name.startswith("."))  # of macOS
        if files := [path for path in found if is_one(path)]:
            return files
    looked_in = ", ".join(f"'{printable(place)}'" for place in places)
    raise UsageError(
        f"dataset '{data.dataset}' needs its official split files ('{pattern}'), which are not in {looked_in}; "
        f"{remedy}, and name their folder: --set data.split_files=FOLDER"
    )


def match_videos(dataset: DatasetFolder, listed: Sequence[ListedVideo], name: str) -> DatasetFolder:
    """The listed videos that are on disk, with the ids and in the order that the folder gives them.

    A video is known by its name without its ending, in the folder that the list says or else in any; upper and lower
    case are the same, so are blanks and underscores in folder names. Listed videos that are not on disk, and videos
    that no list names, are left out and said.

    Args:
        dataset: the folder as it is.
        listed: what the official lists say.
        name: of the standard dataset.

    Raises:
        UsageError: none of the listed videos is there.
    """
    warn_of_left_out(dataset.root, (kind for kind in dataset.left_out if kind.what != "file"))  # such as the lists
    found, missing = _matched(dataset.videos, listed)
    videos = tuple(
        replace(video, label=escaped(item.label), group=item.group, split=item.split)
        for video in dataset.videos
        if (item := found.get(video.video_id)) and item.split
    )
    if not videos:
        raise UsageError(
            f"none of the {len(listed)} videos in the lists of '{name}' is in '{dataset.root}'; "
            "name the folder of its videos: --data FOLDER"
        )
    if missing := [item for item in missing if item.split]:
        such, total = printable(f"{missing[0].folder}/{missing[0].stems[0]}"), len(videos) + len(missing)
        _logger.warning("%d of %d videos of '%s' are not on disk, such as '%s'", len(missing), total, name, such)
    if strangers := [video for video in dataset.videos if video.video_id not in found]:
        such = printable(strangers[0].path)
        _logger.warning("%d videos are in no list of '%s' and left out, such as '%s'", len(strangers), name, such)
    return DatasetFolder(dataset.root, videos)


def bare_stem(name: str) -> str:
    """A file name without its endings of video files, of which downloads have two at times (`.mp4.webm`)."""
    path = Path(name)
    while path.suffix.lower() in VIDEO_SUFFIXES:
        path = path.with_suffix("")
    return path.name


def _matched(
    videos: Sequence[VideoEntry], listed: Sequence[ListedVideo]
) -> tuple[dict[str, ListedVideo], list[ListedVideo]]:
    """Video id → its line, and the lines without a video; those that lie in the right folder choose first."""
    by_stem: dict[str, list[VideoEntry]] = defaultdict(list)
    for video in videos:
        by_stem[bare_stem(video.path.name).casefold()].append(video)
    found: dict[str, ListedVideo] = {}
    missing = list(listed)
    for in_its_folder in (True, False):
        lines, missing = missing, []
        for line in lines:
            candidates = [video for stem in line.stems for video in by_stem.get(stem.casefold(), ())]
            folder = _folder_key(line.folder) if in_its_folder else None
            match = next((v for v in candidates if folder in (None, _folder_key(v.path.parent.name))), None)
            if match is None:
                missing.append(line)
            else:
                found[match.video_id] = line
                by_stem[bare_stem(match.path.name).casefold()].remove(match)
    return found, missing


def _folder_key(name: str) -> str:
    return name.casefold().replace("_", " ")
