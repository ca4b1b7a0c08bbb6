"""Labels of parts of videos: what hits, filters and votes make of them."""

from pathlib import Path

import numpy as np
import pytest

from cocon.client.index.catalogue.moments import LabelledMoment, clip_labels
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.folder import VideoIndex
from cocon.client.index.query.filters import Filters
from cocon.client.index.query.queries import Query
from cocon.client.index.vote.labels import label_counts, labelled_rows, labels_of
from tests.client.index.conftest import embedding_of

SPANS = np.array([[0, 1], [1, 2], [2, 3]], np.float64)


@pytest.fixture
def index(stored: Path) -> VideoIndex:
    """Videos of three clips of a second each: a walks and jumps in its second clip, b jumps in its last."""
    index = VideoIndex(stored)
    index.label(["/videos/a"], "walk")
    index.label(["/videos/a#1-2", "/videos/b#1.6-"], "jump")
    return index


def found(index: VideoIndex, filters: Filters) -> set[tuple[str, int, str | None]]:
    query = Query.of(embedding_of("a"))
    hits = index.search(query, top=99, grouping="moment", filters=filters, keep_duplicates=True)
    return {(Path(hit.video).name, hit.clip, hit.label) for hit in hits}


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([(0.5, 1.5, "x")], ["x", "x", "all"]),  # half of a clip is enough
        ([(0.6, 1.4, "x")], ["x", "all", "all"]),  # no clip lies mostly in it: the first that overlaps it most
        ([(0.0, 0.2, "x"), (0.2, 1.0, "y")], ["y", "all", "all"]),
        ([(2.9, 9.0, "x")], ["all", "all", "x"]),
        ([(5.0, 9.0, "x")], ["all", "all", "all"]),
        ([(0.0, 9.0, "x")], ["x", "x", "x"]),
    ],
)
def test_a_clip_is_of_the_moment_that_it_mostly_lies_in(
    moments: list[tuple[float, float, str]], expected: list[str]
) -> None:
    assert clip_labels(SPANS, [LabelledMoment(*moment) for moment in moments], "all") == expected


def test_a_hit_has_the_label_of_its_moment_and_a_video_its_own(index: VideoIndex) -> None:
    everything = found(index, Filters())
    assert {hit for hit in everything if hit[0] in "ab"} == {
        ("a", 0, "walk"),
        ("a", 1, "jump"),
        ("a", 2, "walk"),
        ("b", 0, None),
        ("b", 1, None),
        ("b", 2, "jump"),
    }
    (best, *_) = index.search(Query.of(embedding_of("a")), match="mean")
    assert (best.video, best.label) == ("/videos/a", "walk")


def test_labels_that_are_asked_for_find_parts_alone(index: VideoIndex) -> None:
    assert found(index, Filters(labels=("jump",))) == {("a", 1, "jump"), ("b", 2, "jump")}
    assert found(index, Filters(labels=("walk",))) == {("a", 0, "walk"), ("a", 2, "walk")}
    assert found(index, Filters(labels=("jump",), from_seconds=2.5)) == {("b", 2, "jump")}
    without = found(index, Filters(not_labels=("jump", "")))
    assert without == {("a", 0, "walk"), ("a", 2, "walk")}
    unlabelled = found(index, Filters(labels=("",)))
    assert {name for name, _, _ in unlabelled} == set("bcde") and ("b", 2, "jump") not in unlabelled
    assert [video.video for video in index.videos(Filters(labels=("jump",)))] == ["/videos/a", "/videos/b"]
    assert found(index, Filters(labels=("nothing",))) == set()


def test_metadata_that_others_wrote_hurt_nobody(index: VideoIndex) -> None:
    broken = ['"text"', "[1, null]", '[{"label": 3}]', '{"label": "jump"}', '[{"start_seconds": 2, "end_seconds": 1}]']
    with IndexWriter(index.folder) as writer, writer.transaction() as connection:
        for name, moments in zip("abcde", broken, strict=True):
            metadata = f'{{"moments": {moments}}}'
            connection.execute("UPDATE places SET metadata = ? WHERE path = ?", [metadata, f"/videos/{name}"])
    snapshot = VideoIndex(index.folder).snapshot()
    filters = Filters(labels=("jump",))
    assert filters.places(snapshot.select) == [] and label_counts(snapshot) == {"walk": 1}
    assert snapshot.videos()[0].moments == ()


def test_stretches_vote_like_videos(index: VideoIndex) -> None:
    snapshot = index.snapshot()
    assert labels_of(snapshot) == ["walk", None, None, None, None]
    rows, labels = labelled_rows(snapshot)
    assert labels == ["walk", "jump", "walk", None, "jump", None, None, None]
    assert rows.video_ids.tolist() == [1, 1, 1, 2, 2, 3, 4, 5]
    assert rows.first_rows.tolist() == [0, 1, 2, 3, 5, 6, 9, 12]
    assert rows.num_rows.tolist() == [1, 1, 1, 2, 1, 3, 3, 3]
    assert label_counts(snapshot) == {"jump": 2, "walk": 1}
    voters = index.voters()
    assert voters.classes == ("jump", "walk")
    jump, own = embedding_of("b").embedding[2:], embedding_of("b").content_sha256
    (stranger, itself) = (
        voters.shares(jump, np.array([1]), [content], has_copies=True)[0] for content in ("0" * 64, own)
    )
    assert stranger[0] > stranger[1] and itself[0] < stranger[0]


def test_without_parts_the_rows_are_those_of_the_videos(stored: Path) -> None:
    snapshot = VideoIndex(stored).snapshot()
    rows, labels = labelled_rows(snapshot)
    assert rows is snapshot.rows and labels == [None] * 5
