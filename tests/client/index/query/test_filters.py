import math

import numpy as np
import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.query.conditions import Condition
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.core.errors import UsageError
from tests.client.index.conftest import FACTS, NUM_BLOCKS, embedding_of

LABELS = {"a": "jump", "b": "it's; --", "c": None, "d": "", "e": "jump", "f": "\\xe9 ✓"}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VideoIndex:
    """Six videos of 1 to 6 clips of a second; `e` is at `/other/e`, too, without label."""
    folder = tmp_path_factory.mktemp("filters") / "index"
    folder.mkdir()
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS)) as writer:
        contents = Contents(writer)
        for number, (name, label) in enumerate(LABELS.items(), start=1):
            video = embedding_of(name, num_clips=number)
            contents.put(video.video, video, label=label, overlap=0.0, values={"take": number})
        contents.move(5, "/other/e", label="", stamp=None)
    return VideoIndex(folder)


def names(index: VideoIndex, filters: Filters) -> str:
    return " ".join(video.video.removeprefix("/videos/") for video in index.videos(filters))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (NO_FILTERS, "/other/e a b c d e f"),
        (Filters(labels=("jump",)), "a e"),
        (Filters(labels=("it's; --", "\udce9 ✓")), "b f"),
        (Filters(labels=("",)), "/other/e c d"),
        (Filters(labels=(None, "jump")), "/other/e a c d e"),
        (Filters(not_labels=("jump",)), "/other/e b c d f"),
        (Filters(not_labels=("jump", None)), "b f"),
        (Filters(labels=("jump",), not_labels=("jump",)), ""),
        (Filters(paths=("/videos/[a-c]", "/other/**")), "/other/e a b c"),
        (Filters(paths=("/videos",), labels=("jump",), where=(Condition("take", ">", 1),)), "e"),
        (Filters(from_seconds=4.5), "/other/e e f"),
        (Filters(to_seconds=0.0), ""),
        (Filters(from_seconds=5.0, to_seconds=9.0, labels=("\\xe9 ✓",)), "f"),
        (Filters(where=(Condition("take", ">=", 2), Condition("take", "<", 4))), "b c"),
    ],
)
def test_places_meet_filters(index: VideoIndex, filters: Filters, expected: str) -> None:
    assert names(index, filters) == expected
    pages = [index.videos(filters, top=2, offset=offset) for offset in range(0, 10, 2)]
    assert [video for page in pages for video in page] == index.videos(filters)


def test_a_search_finds_what_the_list_lists(index: VideoIndex) -> None:
    query = embedding_of("query", num_clips=2)
    for filters in (
        NO_FILTERS,
        Filters(labels=("jump",)),
        Filters(labels=("",)),
        Filters(not_labels=("jump",)),
        Filters(paths=("/other",)),
        Filters(labels=("nothing",)),
        Filters(from_seconds=1.5, to_seconds=2.5, where=(Condition("take", "!=", 4),)),
    ):
        hits = index.search(query, top=99, filters=filters, grouping="moment", keep_duplicates=True)
        listed = {video.video: video for video in index.videos(filters)}
        begin, end = filters.from_seconds or 0.0, filters.to_seconds or math.inf
        expected = [
            (video_id, clip)
            for video_id, count in {video.video_id: video.num_clips for video in listed.values()}.items()
            for clip in range(count)
            if clip + 1 > begin and clip < end
        ]
        assert sorted((hit.video_id, hit.clip) for hit in hits) == sorted(expected)
        assert all(hit.video in listed and hit.label == listed[hit.video].label for hit in hits)
        scores = {(hit.video_id, hit.clip): hit.score for hit in hits}
        best = index.search(query, top=99, filters=filters, keep_duplicates=True)
        assert [hit.score for hit in best] == sorted(
            (max(score for (video, _), score in scores.items() if video == each) for each in {v for v, _ in scores}),
            reverse=True,
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": "jump"}, "must be several"),
        ({"paths": "/videos"}, "must be several"),
        ({"paths": ("",)}, "is empty"),
        ({"from_seconds": 3.0, "to_seconds": 2.0}, "must not be after"),
        ({"from_seconds": float("nan")}, "must not be after"),
    ],
)
def test_what_chooses_nothing_sensible_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Filters(**given)  # type: ignore[arg-type]


def test_lists_are_taken_as_well(index: VideoIndex) -> None:
    assert names(index, Filters(labels=["jump"])) == "a e"  # type: ignore[arg-type]
    assert np.array_equal(Filters(from_seconds=1.0).are_timely(np.array([[0.0, 1.0], [0.5, 1.5]])), [False, True])
    with pytest.raises(UsageError, match="must be at least 0"):
        index.videos(offset=-1)


def test_more_than_the_catalogue_takes_is_refused(index: VideoIndex) -> None:
    most = Filters(paths=("/videos",) * 400, where=(Condition.parse("take>0"),) * 400, labels=("jump",) * 50_000)
    assert names(index, most) == "a e"
    for more in ({"paths": ("a",) * 401}, {"where": most.where * 2}, {"not_labels": ("a",) * 60_000}):
        with pytest.raises(UsageError, match="at most"):
            Filters(**more)  # type: ignore[arg-type]
