r"""Splits the videos of a labelled folder and writes that into its manifest, whole or not at all.

split = split_dataset(Path("videos"), SplitWish(r"subject(\d+)", {"test": 0.3}))
split.num_of["jump"]["test"], split.complaints
write_manifest(split)
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import escaped, printable
from cocon.core.texts.csv_rows import CsvRow, csv_columns, csv_rows
from cocon.training.data.preparation.group_split import TRAIN, split_groups
from cocon.video.output_file import output_file
from cocon.video.store.dataset import DatasetFolder, VideoEntry

__all__ = ["SplitDataset", "SplitWish", "split_dataset", "write_manifest"]

_COLUMNS = ("video_id", "path", "label", "group", "split")
# A class is off its share by more than this, and by more than one video: then it is said.
_NOTABLE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class SplitWish:
    """How to split.

    Attributes:
        group: regular expression that is looked for in the path in the folder; what its parentheses find is the group.
            None: the groups of the manifest, else each video is one.
        shares: split → share of the videos of each class; what is left is for training.
        seed: of the order in which groups of one size are taken.
    """

    group: str | None
    shares: Mapping[str, float]
    seed: int = 0

    def __post_init__(self) -> None:
        for split, share in self.shares.items():
            if not 0 <= share < 1:
                raise UsageError(f"--{split} ({share:g}) must be a share from 0 to below 1")
        if not 0 < sum(self.shares.values()) < 1:
            told = " and ".join(f"--{split} ({share:g})" for split, share in self.shares.items())
            raise UsageError(f"{told} must be more than 0 and less than 1 together: the rest is for training")
        if self.group is not None and not _compiled(self.group).groups:
            raise UsageError(
                f"--group '{printable(self.group)}' has no parentheses around the part of a path that names the group, "
                r"such as 'subject(\d+)'"
            )


@dataclass(frozen=True, slots=True)
class SplitDataset:
    """A data set, split.

    Attributes:
        root: its folder.
        rows: of the manifest, in its order.
        columns: of the manifest.
        num_videos: rows.
        num_groups: that they are of.
        num_of: class → split → videos; of those without a label under an empty class.
        complaints: what could not be balanced, a line each.
    """

    root: Path
    rows: Sequence[CsvRow] = field(repr=False)
    columns: Sequence[str]
    num_groups: int
    num_of: Mapping[str, Mapping[str, int]]
    complaints: Sequence[str]

    @property
    def num_videos(self) -> int:
        """Videos and parts of videos."""
        return len(self.rows)

    @property
    def counts(self) -> dict[str, int]:
        """Split → videos."""
        return dict(Counter(row["split"] for row in self.rows))


def split_dataset(root: Path, wish: SplitWish, *, overwrite: bool = False) -> SplitDataset:
    """Decide which videos are of which split; nothing is written.

    Args:
        root: the dataset folder.
        wish: how to split.
        overwrite: also where a manifest or the folders say already which video is of which split.

    Raises:
        UsageError: there is no such folder, it has no labels, or is split already, the expression does not find the
            group of every video, or its groups leave a split without any.
    """
    dataset = DatasetFolder.open(root)
    _refuse_split(dataset, overwrite=overwrite)
    labels = [entry.label for entry in dataset.videos]
    if not any(labels):
        raise UsageError(f"dataset '{printable(root)}' has no labels: let videos lie in a folder for each class")
    groups = _groups(dataset, wish.group)
    split_of = split_groups(labels, groups, wish.shares, seed=wish.seed)
    splits = [split_of[group] for group in groups]
    if empty := [split for split, share in wish.shares.items() if share and split not in splits]:
        raise UsageError(
            f"the {len(split_of)} groups of '{printable(root)}' leave no video for '{empty[0]}' unless one is torn or "
            "training never sees a class; divide them finer, or ask for a larger share"
        )
    columns, rows = _rows(dataset, groups, splits)
    num_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label, split in zip(labels, splits, strict=True):
        num_of[label][split] += 1
    complaints = list(_complaints(num_of, wish.shares))
    return SplitDataset(root, rows, columns, len(set(groups)), dict(sorted(num_of.items())), complaints)


def write_manifest(split: SplitDataset) -> Path:
    """Write the manifest of a split, and tell where.

    Raises:
        UsageError: it cannot be written.
        StorageError: the disk takes no more.
    """
    manifest = split.root / "manifest.csv"
    with (
        output_file(manifest, option="manifest") as partial,
        partial.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, split.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(split.rows)
    return manifest


def _refuse_split(dataset: DatasetFolder, *, overwrite: bool) -> None:
    manifest = dataset.root / "manifest.csv"
    if overwrite:
        return
    if manifest.exists():
        raise UsageError(f"'{printable(manifest)}' is there already; give --overwrite to have its splits replaced")
    if dataset.layout.splits:
        raise UsageError(f"{dataset.layout.splits}; give --overwrite to split the videos otherwise")


def _groups(dataset: DatasetFolder, expression: str | None) -> list[str]:
    """The group of each video."""
    if expression is None:
        return [entry.group or entry.video_id for entry in dataset.videos]
    pattern, found = _compiled(expression), []
    for entry in dataset.videos:
        path = _relative(dataset, entry)
        match = pattern.search(path)
        if match is None or not any(match.groups()):
            raise UsageError(
                f"--group '{printable(expression)}' finds no group in '{printable(path)}'; every path must have one"
            )
        found.append("/".join(part for part in match.groups() if part is not None))
    return found


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise UsageError(f"--group '{printable(expression)}' is no regular expression: {error}") from error


def _relative(dataset: DatasetFolder, entry: VideoEntry) -> str:
    path = entry.path
    return escaped((path.relative_to(dataset.root) if path.is_relative_to(dataset.root) else path).as_posix())


def _rows(
    dataset: DatasetFolder, groups: Sequence[str], splits: Sequence[str]
) -> tuple[Sequence[str], Sequence[CsvRow]]:
    """Columns and rows: those of the manifest that there is with other splits, or new ones."""
    manifest = dataset.root / "manifest.csv"
    if manifest.is_file():
        columns = [column for column in csv_columns(manifest) if column]
        rows = [{column: row[column] for column in columns} for _, row in csv_rows(manifest, "path")]
        columns += [column for column in ("group", "split") if column not in columns]
    else:
        columns = list(_COLUMNS)
        rows = [
            {"video_id": escaped(entry.video_id), "path": _relative(dataset, entry), "label": entry.label}
            for entry in dataset.videos
        ]
    told = zip(rows, groups, splits, strict=True)
    return columns, [row | {"group": escaped(group), "split": split} for row, group, split in told]


def _complaints(num_of: Mapping[str, Mapping[str, int]], shares: Mapping[str, float]) -> Iterator[str]:
    """What is far from the share that was asked for, by class and split."""
    for label, counts in sorted(num_of.items()):
        total = sum(counts.values())
        for split, share in shares.items() if label else ():
            got, wanted = counts.get(split, 0), share * total
            if not got and share:
                yield f"class '{printable(label)}' has no {split} video of its {total}"
            elif abs(got - wanted) > 1 and abs(got / total - share) > _NOTABLE_SHARE:
                found = f"{got / total:.0%} of its {total} videos in {split}, not {share:.0%}"
                yield f"class '{printable(label)}' has {found}"
        if label and not counts.get(TRAIN):
            yield f"class '{printable(label)}' has no training video of its {total}"
