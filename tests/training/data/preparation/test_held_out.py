"""Which training videos are set aside: whole groups, some of every class, never what nobody could spare."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cocon.training.data.preparation.held_out import chosen_again, held_out_part
from cocon.video.store.dataset import VideoEntry


def _entries(number: int, *, classes: int = 4, per_group: int = 1) -> list[VideoEntry]:
    return [
        VideoEntry(f"v{index}", Path(f"v{index}.mp4"), f"class {index % classes}", f"group {index // per_group}")
        for index in range(number)
    ]


def test_a_share_of_every_class_is_set_aside_in_whole_groups_and_always_the_same() -> None:
    entries = _entries(200, per_group=4)
    part = held_out_part(entries, 0.15, seed=1)
    assert 26 <= len(part.held) <= 34
    assert min(Counter(entry.label for entry in part.held).values()) >= 5
    assert {entry.group for entry in part.held} & {entry.group for entry in part.kept} == set()
    assert {*part.held, *part.kept} == {*entries}
    assert held_out_part(entries, 0.15, seed=1) == part
    assert held_out_part(entries, 0.15, seed=2) != part
    assert chosen_again(entries, [entry.video_id for entry in part.held]) == part


def test_few_videos_give_two_of_each_class_but_no_more_than_a_quarter() -> None:
    assert Counter(entry.label for entry in held_out_part(_entries(48), 0.05, seed=0).held) == Counter(
        {f"class {index}": 2 for index in range(4)}
    )
    assert len(held_out_part(_entries(40, classes=20), 0.15, seed=0).held) <= 10


def test_of_very_many_videos_no_more_are_set_aside_than_judging_needs() -> None:
    assert 100 <= len(held_out_part(_entries(9000), 0.15, seed=0).held) <= 130


def test_videos_without_a_label_are_trained_on_unless_their_group_is_set_aside() -> None:
    entries = _entries(100, per_group=2)
    unlabelled = [replace(entry, label="") if index % 2 else entry for index, entry in enumerate(entries)]
    alone = [replace(entry, video_id=f"more {entry.video_id}", label="", group="") for entry in entries]
    part = held_out_part([*unlabelled, *alone], 0.2, seed=0)
    assert part.held and all(entry.label for entry in part.held)
    assert set(alone) <= set(part.kept)
    assert {entry.group for entry in part.held} & {entry.group for entry in part.kept} == set()


def test_parts_of_one_video_stay_together() -> None:
    entries = [
        VideoEntry(f"v{index // 5}#t={index % 5},{index % 5 + 1}", Path(f"v{index // 5}.mp4"), f"class {index % 2}",
                   start_seconds=index % 5, end_seconds=index % 5 + 1)
        for index in range(100)
    ]  # fmt: skip
    part = held_out_part(entries, 0.2, seed=0)
    assert part.held
    assert {entry.store_id for entry in part.held} & {entry.store_id for entry in part.kept} == set()


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (_entries(39), "39 labelled videos are fewer than 40"),
        (_entries(80, classes=1), "all labelled videos are of one class"),
        (_entries(80, per_group=40), "80 labelled videos in 2 groups have no part of 12 in whole groups"),
    ],
)
def test_where_no_part_can_be_spared_all_are_trained_on_and_it_is_said_why(entries: list[VideoEntry], why: str) -> None:
    part = held_out_part(entries, 0.15, seed=0)
    assert (part.held, part.kept, part.why) == ((), tuple(entries), why)


def test_a_share_of_nothing_sets_nothing_aside_without_a_word() -> None:
    part = held_out_part(_entries(80), 0.0, seed=0)
    assert (part.held, len(part.kept), part.why) == ((), 80, "")
