"""What the folders of a dataset without a manifest say of its videos: their ids, classes and splits.

| path in the dataset | class | split |
|---|---|---|
| `a.mp4` | | |
| `jump/a.mp4` | `jump` | |
| `day 1/jump/a.mp4` | `jump`: the folder that it lies in | |
| `train/jump/a.mp4` | `jump` | `train` |
| `train/jump/day 1/a.mp4` | `jump`: the folder below the split's | `train` |
"""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cocon.core.printable import escaped, printable

__all__ = ["MAX_ID_BYTES", "FolderLayout", "id_of", "label_and_split", "layout_of"]

# How a folder of a split is called, in lower case → the split.
_SPLITS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("train", "training"), "train")
    | dict.fromkeys(("val", "valid", "validation", "dev"), "val")
    | dict.fromkeys(("test", "testing"), "test")
)


# File systems take names of 255 bytes; the store adds an ending, and marks what is being written.
MAX_ID_BYTES = 200


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """How the folders of a dataset were understood.

    Attributes:
        splits: the splits that its folders name, in a line; empty where they name none.
        problem: why they do not tell what is for training, in a line with the remedy; empty where they do.
    """

    splits: str = ""
    problem: str = ""


def id_of(relative: Path) -> str:
    """Id of a video that no manifest names, by its path in the dataset folder."""
    video_id = "__".join(relative.parts)
    encoded = os.fsencode(video_id)
    if len(encoded) <= MAX_ID_BYTES:
        return video_id
    digest = hashlib.sha256(encoded).hexdigest()[:32]
    return f"{digest}__{os.fsencode(relative.name)[-100:].decode(errors='ignore')}"


def label_and_split(relative: Path) -> tuple[str, str]:
    """Class and split of a video by its path in the dataset; empty where the folders do not say."""
    folders = relative.parts[:-1]
    split = _SPLITS.get(folders[0].lower(), "") if folders else ""
    if split:
        return escaped(folders[1]) if len(folders) > 1 else "", split
    return escaped(folders[-1]) if folders else "", ""


def layout_of(root: Path, videos: Sequence[Path]) -> FolderLayout:
    """How the folders of a dataset are understood.

    Args:
        root: the dataset.
        videos: their paths in it.
    """
    counts = Counter(label_and_split(video)[1] for video in videos)
    num_others = counts.pop("", 0)
    if not counts:
        return FolderLayout(problem=_hidden_splits(root, videos))
    named = ", ".join(f"{counts[split]} {split}" for split in dict.fromkeys(_SPLITS.values()) if split in counts)
    if not num_others:
        return FolderLayout(splits=f"'{printable(root)}' is split by its folders: {named}")
    such = printable(next(video for video in videos if not label_and_split(video)[1]))
    return FolderLayout(
        problem=f"dataset folder '{printable(root)}' has folders of splits ({named}) and {num_others} videos beside "
        f"them, such as '{such}': of which split are these? {_remedy(root)}, or move them"
    )


def _hidden_splits(root: Path, videos: Sequence[Path]) -> str:
    """What is wrong where folders called like splits lie further down."""
    for video in videos:
        for folder in video.parts[1:-1]:
            if folder.lower() in _SPLITS:
                return (
                    f"dataset folder '{printable(root)}' has a folder called '{folder}' further down "
                    f"('{printable(video)}'): is that a split or a class? {_remedy(root)}, or name the "
                    "folder that splits lie in"
                )
    return ""


def _remedy(root: Path) -> str:
    return f"say it in {printable(root / 'manifest.csv')} (path,label,split)"
