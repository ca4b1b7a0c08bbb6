"""What to label next, and groups of like videos, on vectors whose groups are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.folder import VideoIndex
from cocon.client.index.labelling.clusters import clusters_of
from cocon.client.index.labelling.suggestions import suggested_order, suggestions
from cocon.client.index.labelling.uncertainty import open_questions
from cocon.client.index.query.filters import Filters
from cocon.core.errors import UsageError
from tests.client.index.conftest import DIM, FACTS, NUM_BLOCKS, embedding_of

SIZES = {"kick": 9, "jump": 6, "wave": 3}


@pytest.fixture
def grouped(tmp_path: Path) -> VideoIndex:
    """Three groups of videos around directions of their own; the first of each is its middle."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "grouped"
    folder.mkdir()
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS)) as writer:
        for axis, (name, size) in enumerate(SIZES.items()):
            for number in range(size):
                vector = np.eye(DIM)[axis] + (0.15 * rng.normal(size=DIM) if number else 0)
                unit = np.tile((vector / np.linalg.norm(vector)).astype(np.float32), (3, 1))
                video = replace(embedding_of(f"{name}{number}"), embedding=unit)
                Contents(writer).put(video.video, video, label=None, overlap=0.0)
    return VideoIndex(folder)


def group_of(video: str) -> str:
    return Path(video).name.rstrip("0123456789")


def test_clusters_are_the_groups_and_typical_their_middle(grouped: VideoIndex) -> None:
    clusters = clusters_of(grouped, 3, num_typical=2)
    assert [len(cluster.video_ids) for cluster in clusters] == list(SIZES.values())
    assert [group_of(cluster.typical[0].video) for cluster in clusters] == list(SIZES)
    assert [cluster.number for cluster in clusters] == [1, 2, 3]
    assert clusters == clusters_of(grouped, 3, num_typical=2)


def test_there_are_no_more_clusters_than_videos(grouped: VideoIndex) -> None:
    few = Filters(paths=("/videos/wave*",))
    assert sorted(len(cluster.video_ids) for cluster in clusters_of(grouped, 50, few)) == [1, 1, 1]
    assert clusters_of(grouped, 3, Filters(paths=("/nothing",))) == []


def test_suggestions_come_from_every_group_before_one_comes_twice(grouped: VideoIndex) -> None:
    found = suggestions(grouped, 3)
    assert {group_of(each.video.video) for each in found} == set(SIZES)
    reasons = {group_of(each.video.video): each.reason for each in found}
    assert reasons == {"kick": "stands for 8 others", "jump": "stands for 5 others", "wave": "stands for 2 others"}
    assert [each.video for each in suggestions(grouped, 2)] == [each.video for each in found[:2]]
    assert len({each.video.video_id for each in suggestions(grouped, 99)}) == sum(SIZES.values())


def test_what_is_labelled_is_not_asked_for_again_and_counts_as_covered(grouped: VideoIndex) -> None:
    grouped.label(["/videos/kick0", "/videos/wave0#0-1"], "seen")
    (first, *_) = found = suggestions(grouped, 99)
    assert group_of(first.video.video) == "jump"
    assert len(found) == sum(SIZES.values()) - 2
    assert not {Path(each.video.video).name for each in found} & {"kick0", "wave0"}


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_is_at_least_one(budget: int, grouped: VideoIndex) -> None:
    with pytest.raises(UsageError, match="budget"):
        suggestions(grouped, budget)
    with pytest.raises(UsageError, match="clusters"):
        clusters_of(grouped, budget)


def two_groups(size: int = 40) -> tuple[NDArray[np.float32], list[str]]:
    """Unit vectors on an arc: labels change in its middle, and there alone they are open."""
    angles = np.linspace(0, np.pi / 2, 2 * size)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return vectors, ["left"] * size + ["right"] * size


def test_questions_are_open_where_labels_change() -> None:
    vectors, truth = two_groups()
    labels = [label if place % 2 else None for place, label in enumerate(truth)]
    asked = open_questions(vectors, labels)
    assert asked is not None and asked.labels == ("left", "right")
    assert abs(int(asked.doubts.argmax()) - len(truth) / 2) <= 2
    assert asked.doubts[0] < 0.5 * asked.doubts.max()
    assert asked.likeliest[0].tolist() == [0, 1] and asked.likeliest[-1].tolist() == [1, 0]
    assert open_questions(vectors, ["left", *[None] * (len(truth) - 1)]) is None


def test_with_many_labels_what_is_open_is_asked_first_and_told() -> None:
    vectors, truth = two_groups(60)
    labels: list[str | None] = [label if place % 2 else None for place, label in enumerate(truth)]
    (position, question) = next(suggested_order(vectors, labels))
    assert abs(position - len(truth) / 2) < len(truth) / 5
    assert question in ("left or right", "right or left")
    few: list[str | None] = [label if place % 8 == 0 else None for place, label in enumerate(truth)]
    assert not any(question for _, question in suggested_order(vectors, few))


def test_copies_and_a_single_video_are_no_trouble() -> None:
    same = np.tile(np.eye(DIM, dtype=np.float32)[0], (5, 1))
    assert sorted(position for position, _ in suggested_order(same, [None] * 5)) == [0, 1, 2, 3, 4]
    assert [position for position, _ in suggested_order(same[:1], [None])] == [0]
    assert list(suggested_order(same[:0], [])) == []
