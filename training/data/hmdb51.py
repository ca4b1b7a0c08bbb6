"""HMDB51's official lists: one file `<class>_test_splitN.txt` per class and split, as they are published.

A line is a file name and a flag: 1 for training, 2 for testing, 0 for neither; most lines end with a blank. A name is
`<source>_<class>_<visible parts>_<camera motion>_np<people>_<viewpoint>_<quality>_<number>.avi`; what was cut from one
source, of whichever classes, is a group.
"""

import re
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.texts.text_files import read_names
from cocon.training.config.input_sections import DataSection
from cocon.training.data.split_files import ListedVideo, bare_stem, find_split_files

__all__ = ["list_hmdb51"]

_REMEDY = "unpack test_train_splits.rar of https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database"
_ATTRIBUTES = re.compile(r"_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+$")
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
    for number, line in enumerate(read_names(path, "list"), start=1):
        if not line.strip():
            continue
        name, *flag = line.rsplit(maxsplit=1)
        if len(flag) != 1 or flag[0] not in _SPLITS:
            place = f"'{printable(path)}' line {number}"
            raise UsageError(f"{place}: '{line.strip()}' is not '<video>.avi' and a flag 0, 1 or 2")
        stem = bare_stem(name.strip())
        videos.append(ListedVideo(label, (stem,), label, _SPLITS[flag[0]], _source(stem, label)))
    return videos


def _source(stem: str, label: str) -> str:
    """What the video was cut from; with the class where that is written otherwise, empty for a name of another kind."""
    described = _ATTRIBUTES.search(stem)
    return stem[: described.start()].removesuffix(f"_{label}") if described else ""
