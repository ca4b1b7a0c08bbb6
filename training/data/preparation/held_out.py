"""Which training videos are set aside to judge by: a share of those with a label, in whole groups, by the seed.

    part = held_out_part(dataset.split("train"), 0.15, seed=0)
    part.held      # never trained on; empty where `part.why` says why
    part.kept      # what training draws from

Encoders learn from videos without labels as well, so those are all kept, but for videos of a group that is held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cocon.training.data.preparation.group_split import split_groups
from cocon.video.store.dataset import DatasetFolder, VideoEntry

__all__ = ["LEAST_LABELLED", "HeldOutPart", "chosen_again", "held_out_part", "part_to_judge"]

# With fewer labelled videos every one is needed to learn from, and a handful would say nothing.
LEAST_LABELLED = 40
_LEAST_HELD = 6
# A split `val` of fewer labelled videos says nothing.
_LEAST_OF_VAL = 6
# More say hardly more, and take longer to judge.
_MOST_HELD = 120
# Of each class there should be so many, as long as no more than a quarter of the videos are held out for that.
_PER_CLASS = 2
_MOST_FOR_CLASSES = 0.25
# Groups may be large; more than this is too much to learn without.
_MOST_SHARE = 1 / 3
# It is chosen among so many, drawn by the seed.
_MOST_GROUPS = 2000


@dataclass(frozen=True, slots=True)
class HeldOutPart:
    """Training videos in two parts.

    Attributes:
        held: labelled videos that are set aside, in the order of the data.
        kept: those to train on.
        why: why none is set aside, in words; empty where some are, or none was asked for.
    """

    held: tuple[VideoEntry, ...]
    kept: tuple[VideoEntry, ...]
    why: str = ""


def part_to_judge(
    dataset: DatasetFolder, share: float, *, seed: int, remembered: Sequence[str] | None = None
) -> tuple[HeldOutPart, str]:
    """The training videos, and those to judge by: split `val` where that has labels, else some of the training videos.

    Args:
        dataset: its videos.
        share: of the labelled training videos.
        seed: of the choice among them.
        remembered: ids of those that were chosen before; None where none were.

    Returns:
        The part, and which its videos to judge by are, or why there are none, in words.
    """
    train = dataset.split("train")
    val = tuple(entry for entry in dataset.split("val") if entry.label)
    if not (_why_no_judging(val, least=_LEAST_OF_VAL) or len(dataset.labels) < 2):
        return HeldOutPart(val, train), f"{len(val)} videos of split 'val'"
    part = held_out_part(train, share, seed=seed) if remembered is None else chosen_again(train, remembered)
    return part, f"{len(part.held)} held-out training videos" if part.held else part.why


def held_out_part(entries: Sequence[VideoEntry], share: float, *, seed: int) -> HeldOutPart:
    """Set a share of the labelled videos aside, about the same of every class.

    Args:
        entries: training videos; parts of one video are of one group.
        share: of the labelled videos, from 0 to below 1; of 0 none.
        seed: of the choice.
    """
    if not share:
        return HeldOutPart((), tuple(entries))
    labelled = [entry for entry in entries if entry.label]
    if why := _why_no_judging(labelled, least=LEAST_LABELLED):
        return HeldOutPart((), tuple(entries), why)
    wanted = _wanted(labelled, share)
    part = _parted(entries, _drawn_groups(labelled, wanted, seed))
    if not _LEAST_HELD <= len(part.held) <= _MOST_SHARE * len(labelled):
        num_groups = len({_group(entry) for entry in labelled})
        why = f"{len(labelled)} labelled videos in {num_groups} groups have no part of {wanted:.0f} in whole groups"
        return HeldOutPart((), tuple(entries), why)
    return part


def chosen_again(entries: Sequence[VideoEntry], names: Sequence[str]) -> HeldOutPart:
    """The part of the same videos, by their ids, as a run that goes on remembers them; nothing of what is not there."""
    known = set(names)
    return _parted(entries, {_group(entry) for entry in entries if entry.video_id in known})


def _why_no_judging(entries: Sequence[VideoEntry], *, least: int) -> str:
    """Why these videos cannot be judged by, in words; empty where they can.

    Args:
        entries: with labels.
        least: how many there must be.
    """
    if len(entries) < least:
        return f"{len(entries)} labelled videos are fewer than {least}"
    if len({entry.label for entry in entries}) < 2:
        return "all labelled videos are of one class"
    return ""


def _parted(entries: Sequence[VideoEntry], groups: set[str]) -> HeldOutPart:
    held = tuple(entry for entry in entries if entry.label and _group(entry) in groups)
    return HeldOutPart(held, tuple(entry for entry in entries if _group(entry) not in groups))


def _wanted(labelled: Sequence[VideoEntry], share: float) -> float:
    """Videos to be held out."""
    number = len(labelled)
    for_classes = min(_PER_CLASS * len({entry.label for entry in labelled}), _MOST_FOR_CLASSES * number)
    return min(max(share * number, for_classes), _MOST_HELD)


def _drawn_groups(labelled: Sequence[VideoEntry], wanted: float, seed: int) -> set[str]:
    """Groups with about so many videos, about the same share of every class."""
    names = sorted({_group(entry) for entry in labelled})
    drawn = set(np.random.default_rng(seed).permutation(names)[:_MOST_GROUPS].tolist())
    asked = [entry for entry in labelled if _group(entry) in drawn]
    share = min(0.5, wanted / len(asked))
    split_of = split_groups([one.label for one in asked], [_group(one) for one in asked], {"held": share}, seed=seed)
    return {group for group, split in split_of.items() if split == "held"}


def _group(entry: VideoEntry) -> str:
    return entry.group or entry.store_id
