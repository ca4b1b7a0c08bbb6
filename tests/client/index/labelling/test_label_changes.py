"""Labels of videos and of parts of them."""

import time
from pathlib import Path

import pytest

from cocon.client.index.catalogue.moments import LabelledMoment, painted
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.folder import VideoIndex
from cocon.client.index.query.conditions import Condition
from cocon.client.index.query.filters import Filters
from cocon.core.errors import UsageError


def test_videos_are_labelled_by_path_id_folder_and_filters(stored: Path) -> None:
    index = VideoIndex(stored)
    b = index.videos()[1]
    assert index.label(["/videos/a", f"id:{b.video_id}"], " jump ") == ["/videos/a", "/videos/b"]
    assert [video.label for video in index.videos()] == ["jump", "jump", None, None, None]
    assert len(index.label([], "fall", filters=Filters(labels=("",)))) == 3
    assert index.label(["/videos"], "", filters=Filters(labels=("jump",))) == ["/videos/a", "/videos/b"]
    assert [video.label for video in index.videos()] == [None, None, "fall", "fall", "fall"]


def test_a_part_is_painted_over_what_was_there(stored: Path) -> None:
    index = VideoIndex(stored)
    index.label(["/videos/a#0.5-2"], "run")
    index.label(["/videos/a#1-99999999999"], "jump")  # to the end of the last clip
    (video, *_) = index.videos()
    assert video.label is None and "moments" not in video.metadata
    assert video.moments == (LabelledMoment(0.5, 1.0, "run"), LabelledMoment(1.0, 3.0, "jump"))
    assert video.row()["moments"][0] == {"start_seconds": 0.5, "end_seconds": 1.0, "label": "run"}
    index.label(["/videos/a#0-9"], "")
    assert index.videos()[0].moments == ()


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ((1, 2, "a"), [(0, 3, "a"), (4, 5, "b")]),  # what says the same is one
        ((3, 4, "a"), [(0, 4, "a"), (4, 5, "b")]),
        ((1, 2, "b"), [(0, 1, "a"), (1, 2, "b"), (2, 3, "a"), (4, 5, "b")]),
        ((2, 4.5, ""), [(0, 2, "a"), (4.5, 5, "b")]),
        ((0, 9, "c"), [(0, 9, "c")]),
    ],
)
def test_no_two_moments_overlap(new: tuple[float, float, str], expected: list[tuple[float, float, str]]) -> None:
    moments = (LabelledMoment(0, 3, "a"), LabelledMoment(4, 5, "b"))
    assert painted(moments, LabelledMoment(*new)) == tuple(LabelledMoment(*each) for each in expected)


def test_thousands_of_parts_are_labelled_in_seconds(stored: Path) -> None:
    index = VideoIndex(stored)
    begun = time.process_time()
    index.label([f"/videos/a#{number / 1000:.3f}-{number / 1000 + 0.0005:.4f}" for number in range(2_000)], "beat")
    assert time.process_time() - begun < 20  # one after the other they took minutes
    assert len(index.videos()[0].moments) == 2_000


def test_moments_go_with_the_video_and_are_no_metadata(stored: Path) -> None:
    index = VideoIndex(stored)
    index.label(["/videos/a#1-2"], "jump")
    index.describe(["/videos/a"], {"camera": 3})
    with IndexWriter(stored) as writer:
        contents = Contents(writer)
        held = contents.at("/videos/a")
        assert held is not None
        contents.move(held.video_id, "/videos/moved", label=None, vacated=["/videos/a"])
    moved = next(video for video in index.videos() if video.video == "/videos/moved")
    assert moved.moments == (LabelledMoment(1.0, 2.0, "jump"),) and moved.metadata == {"camera": 3}
    assert index.videos(Filters(where=(Condition.parse("moments!=x"),))) == index.videos()
    with pytest.raises(UsageError, match="moments"):
        index.describe(["/videos/moved"], {"moments": "x"})


@pytest.mark.parametrize(
    ("videos", "label"),
    [
        (["/videos/a", "/videos/missing"], "jump"),
        (["/videos/b", "/videos/a#3-4"], "jump"),
        (["/videos/a"], "ju\nmp"),
        (["/videos/a"], "\u202ejump"),
        (["/videos/a"], "j" * 201),
        ([], "jump"),
    ],
)
def test_nothing_is_labelled_where_something_is_wrong(videos: list[str], label: str, stored: Path) -> None:
    with pytest.raises(UsageError):
        VideoIndex(stored).label(videos, label)
    assert not any(video.label or video.moments for video in VideoIndex(stored).videos())
