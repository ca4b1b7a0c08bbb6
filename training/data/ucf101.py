"""UCF101's official lists: `classInd.txt`, `trainlist0N.txt` and `testlist0N.txt`, as they are published.

Class ids begin with 1. The lists write a class now and then otherwise than its folder (`HandStandPushups`), and the
order of `classInd.txt` is not the alphabetical one; classes are therefore told by name, never by position.
"""

import re
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import check_file
from cocon.core.printable import printable
from cocon.core.texts.text_files import read_names
from cocon.training.config.input_sections import DataSection
from cocon.training.data.split_files import ListedVideo, bare_stem, find_split_files

__all__ = ["list_ucf101"]

_REMEDY = "unpack UCF101TrainTestSplits-RecognitionTask.zip of https://www.crcv.ucf.edu/data/UCF101.php"
_GROUP = re.compile(r"_(g\d+)_c\d+$")


def list_ucf101(data: DataSection) -> list[ListedVideo]:
    """Training and test videos of official split `data.official_split`; a group is what was cut from one source.

    Raises:
        UsageError: a list is missing or has a wrong line, which is named.
    """
    number = f"0{data.official_split}"
    (train,) = find_split_files(data, "ucfTrainTestlist", f"trainlist{number}.txt", _REMEDY)
    names = _class_names(train.with_name("classInd.txt"))
    test = train.with_name(f"testlist{number}.txt")
    return [*_listed(train, "train", names), *_listed(test, "test", names)]


def _class_names(path: Path) -> dict[str, str]:
    """Class id as written → name."""
    names = {}
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if words and (len(words) != 2 or not words[0].isdecimal()):
            raise UsageError(f"'{printable(path)}' line {number}: '{line}' is not '<id> <ClassName>'")
        if words:
            names[words[0]] = words[1]
    return names


def _listed(path: Path, split: str, names: dict[str, str]) -> list[ListedVideo]:
    spelling = {name.casefold(): name for name in names.values()}
    videos = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        place, *class_id = line.split()
        folder, stem = Path(place).parent.name, bare_stem(place)
        label = spelling.get(folder.casefold())
        if label is None or len(class_id) > 1 or (class_id and names.get(class_id[0]) != label):
            raise UsageError(
                f"'{printable(path)}' line {number}: '{line.strip()}' is not '<Class>/<video>.avi' with a class of "
                "classInd.txt, followed by the id that it has there or by nothing"
            )
        group = _GROUP.search(stem)
        videos.append(ListedVideo(folder, (stem,), label, split, f"{label}_{group[1]}" if group else ""))
    return videos


def _lines(path: Path) -> list[str]:
    check_file(path, "list", remedy=_REMEDY)
    return read_names(path, "list")
