"""Kinetics' official lists (400, 600, 700): CSV files with `label,youtube_id,time_start,time_end,split[,is_cc]`.

Every file in their place that has these columns is read, so one may keep one file per split or a single one. Videos are
called `<youtube_id>_<start>_<end>` with six digits each, or `<youtube_id>` alone; those of one id are a group.
"""

from dataclasses import replace
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.texts.csv_rows import CsvRow, csv_columns, csv_rows
from cocon.training.config.input_sections import DataSection
from cocon.training.data.split_files import ListedVideo, find_split_files

__all__ = ["list_kinetics"]

_REMEDY = "get the CSV files of https://github.com/cvdfoundation/kinetics-dataset"
_COLUMNS = frozenset(("youtube_id", "time_start", "time_end", "split"))
_HEADER_BYTES = 1000
# Papers judge on the validation list; the test list had no labels for years.
_SPLITS = {"train": "train", "val": "test", "validate": "test", "validation": "test", "test": "official test"}


def list_kinetics(data: DataSection) -> list[ListedVideo]:
    """Training videos, and those of the validation list for testing, or of the test list where there is no other.

    Raises:
        UsageError: there is no list, or one has a wrong line, which is named.
    """
    files = find_split_files(data, "annotations", "*.csv", _REMEDY, _is_list)
    listed = list({video: None for path in files for video in _listed(path)})  # a list may be there in two forms
    has_validation = any(video.split == "test" for video in listed)
    official_test = "" if has_validation else "test"
    return [replace(video, split=official_test) if video.split == "official test" else video for video in listed]


def _is_list(path: Path) -> bool:
    try:
        return set(csv_columns(path)) >= _COLUMNS
    except OSError:
        return False
    except UsageError:  # which will say what is wrong with it
        return b"youtube_id" in path.read_bytes()[:_HEADER_BYTES].replace(b"\0", b"")


def _listed(path: Path) -> list[ListedVideo]:
    return [_video(f"'{printable(path)}' line {line}", row) for line, row in csv_rows(path)]


def _video(line: str, row: CsvRow) -> ListedVideo:
    label, video, start, end, split = (
        row.get(column, "").strip() for column in ("label", "youtube_id", "time_start", "time_end", "split")
    )
    if not video or split not in _SPLITS:
        raise UsageError(
            f"{line}: youtube_id '{video}' must not be empty and split '{split}' must be one of {', '.join(_SPLITS)}"
        )
    try:
        stems = (f"{video}_{int(float(start)):06d}_{int(float(end)):06d}", video) if start and end else (video,)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{line}: '{start}' and '{end}' must be times in seconds") from error
    return ListedVideo(label, stems, label, _SPLITS[split], video)
