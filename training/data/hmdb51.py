"""HMDB51's official lists: one file `<class>_test_splitN.txt` per class and split, as they are published.

A line is a file name and a flag: 1 for training, 2 for testing, 0 for neither; most lines end with a blank.
"""

import os
from pathlib import Path

from cocon.training.data.split_files import ListedVideo, bare_stem, find_split_files
from cocon.training.input_sections import DataSection
from cocon.video.errors import UsageError

__all__ = ["list_hmdb51"]

_REMEDY = "unpack test_train_splits.rar of https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database"
_SPLITS = {"0": "", "1": "train", "2": "test"}


def list_hmdb51(data: DataSection) -> list[ListedVideo]:
    """All videos of official split `data.official_split`, those that it does not use with an empty split.

    Raises:
        UsageError: the lists are missing, or one has a wrong line, which is named.
    """
    ending = f"_test_split{data.official_split}.txt"
    files = find_split_files(data, "testTrainMulti_7030_splits", f"*{ending}", _REMEDY)
    return [video for path in files for video in _listed(path, path.name.removesuffix(ending))]


def _listed(path: Path, label: str) -> list[ListedVideo]:
    videos = []
    for number, line in enumerate(os.fsdecode(path.read_bytes()).splitlines(), start=1):
        if not line.strip():
            continue
        name, *flag = line.rsplit(maxsplit=1)
        if len(flag) != 1 or flag[0] not in _SPLITS:
            raise UsageError(f"'{path}' line {number}: '{line.strip()}' is not '<video>.avi' and a flag 0, 1 or 2")
        videos.append(ListedVideo(label, (bare_stem(name.strip()),), label, _SPLITS[flag[0]]))
    return videos
