"""Searches as a whole, over made-up vectors."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client import Hit, VideoIndex
from cocon.client.index.answers import searching
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.query.filters import Filters
from cocon.client.index.query.queries import UNLIKED_WEIGHT, Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import UsageError
from tests.client.index.conftest import FACTS, NUM_BLOCKS, embedding_of

NAMES = [f"v{number:02d}" for number in range(30)]


def copy_of(video: VideoEmbedding, name: str) -> VideoEmbedding:
    """The same pictures, encoded anew."""
    shifted = video.embedding + np.float32(1e-4) * np.arange(video.embedding.size).reshape(video.embedding.shape) % 3
    vectors = shifted / np.linalg.norm(shifted, axis=1, keepdims=True)
    return replace(embedding_of(name, len(video)), embedding=vectors.astype(np.float32))


def put(folder: Path, videos: Sequence[VideoEmbedding]) -> None:
    folder.mkdir(exist_ok=True)
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS)) as writer:
        contents = Contents(writer)
        with contents.transaction():
            for video in videos:
                contents.put(video.video, video, label=None, overlap=0.0)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VideoIndex:
    """Thirty videos, and a copy of the first one."""
    folder = tmp_path_factory.mktemp("searching") / "index"
    videos = [embedding_of(name, 1 + number % 5) for number, name in enumerate(NAMES)]
    put(folder, [*videos, copy_of(videos[4], "copy")])
    return VideoIndex(folder)


def rows(hits: Sequence[Hit]) -> list[tuple[int, int, float]]:
    return [(hit.video_id, hit.clip, hit.score) for hit in hits]


@pytest.mark.parametrize("grouping", ["video", "moment"])
@pytest.mark.parametrize("keep_duplicates", [False, True])
def test_pages_join_to_the_whole_list(
    index: VideoIndex, monkeypatch: pytest.MonkeyPatch, grouping: str, keep_duplicates: bool
) -> None:
    monkeypatch.setattr(searching, "_GROWTH", 2)
    query = Query.of(embedding_of("q", 3))
    options = SearchOptions(top=1000, grouping=grouping, keep_duplicates=keep_duplicates)  # type: ignore[arg-type]
    (whole,) = index.search_many([query], options)
    assert [hit.rank for hit in whole] == list(range(1, len(whole) + 1))
    for top in (1, 3, 7):
        pages = [
            index.search_many([query], replace(options, top=top, offset=offset))[0]
            for offset in range(0, len(whole) + top, top)
        ]
        assert [hit for page in pages for hit in page] == whole
        assert pages[-1] == []


def test_copies_are_folded_into_the_better_one(index: VideoIndex) -> None:
    query = embedding_of(NAMES[4], 5)
    folded, all_hits = index.search(query, top=99), index.search(query, top=99, keep_duplicates=True)
    assert (len(folded), len(all_hits)) == (30, 31)
    assert folded[0] == all_hits[0]
    assert [hit.video for hit in all_hits[:2]] == ["/videos/v04", "/videos/copy"]
    hidden = {hit.video for hit in all_hits} - {hit.video for hit in folded}
    assert hidden == {"/videos/copy"}
    without = index.search(query, top=99, exclude_self=True)
    assert without[0].video == "/videos/copy"
    assert len(without) == 30


@pytest.mark.parametrize("grouping", ["video", "moment"])
def test_what_asks_comes_before_its_equals_and_is_not_folded_into_them(tmp_path: Path, grouping: str) -> None:
    asking = embedding_of("v5", 2)
    equal = replace(embedding_of("a", 2), embedding=asking.embedding)
    put(tmp_path / "index", [equal, *map(embedding_of, NAMES[:4], (3, 4, 5, 6)), asking])
    options = SearchOptions(top=3, grouping=grouping)  # type: ignore[arg-type]
    for each, first, other in ((asking, "/videos/v5", "/videos/a"), (equal, "/videos/a", "/videos/v5")):
        (hits,) = VideoIndex(tmp_path / "index").search_many([Query.of(each)], options)
        assert hits[0].video == first
        assert other not in [hit.video for hit in hits]


def test_what_asks_is_left_out_by_content_and_by_path(tmp_path: Path) -> None:
    put(tmp_path / "index", [embedding_of(name) for name in "ab"])
    opened = VideoIndex(tmp_path / "index")
    with IndexWriter(opened.folder) as writer:
        Contents(writer).move(1, "/elsewhere", label=None, stamp=None)
    moved = replace(embedding_of("a"), video="/now/here")
    changed = replace(embedding_of("a", version=1), video="/videos/a")
    for query in (embedding_of("a"), moved, changed):
        assert [hit.video for hit in opened.search(query, exclude_self=True)] == ["/videos/b"]
    hit = opened.search(moved)[0]
    assert (hit.video, hit.also) == ("/elsewhere", ("/videos/a",))


def test_hits_below_a_score_are_none(index: VideoIndex) -> None:
    query = embedding_of("q", 3)
    whole = index.search(query, top=99)
    least = whole[7].score
    assert index.search(query, top=99, min_score=least) == whole[:8]
    assert index.search(query, top=5, offset=5, min_score=least) == whole[5:8]
    assert index.search(query, min_score=1.5) == []


def test_many_queries_are_answered_as_each_alone(index: VideoIndex) -> None:
    queries = [Query.of(embedding_of(name, count)) for name, count in (("v03", 4), ("x", 1), ("y", 3))]
    options = SearchOptions(top=4, exclude_self=True)
    assert index.search_many(queries, options) == [index.search_many([query], options)[0] for query in queries]
    assert [hits[0].query for hits in index.search_many(queries, options)] == [query.name for query in queries]
    assert index.search_many([], options) == []


def test_a_hit_says_which_clip_of_which_example_matched(index: VideoIndex) -> None:
    query = embedding_of("v04", 5)
    by_clip = {hit.clip: hit for hit in index.search(query, grouping="moment", top=5) if hit.video == "/videos/v04"}
    assert {clip: hit.query_clip for clip, hit in by_clip.items()} == {clip: clip for clip in range(5)}
    assert by_clip[3].query_start_seconds == 3.0
    assert by_clip[3].query_end_seconds == 4.0
    several = Query.of_examples([embedding_of("v01", 2), query])
    best = index.search(several, keep_duplicates=True)
    assert {(hit.video, hit.query_example) for hit in best[:3]} >= {("/videos/v01", "/videos/v01")}
    assert best[0].query == "/videos/v01, /videos/v04"


def test_examples_add_up(index: VideoIndex) -> None:
    liked, unliked = [embedding_of("v01", 2), embedding_of("v02", 3)], [embedding_of("v07", 3)]
    hits = index.search(Query.of_examples(liked, unliked), top=99, grouping="moment", keep_duplicates=True)
    snapshot = index.snapshot()

    def best(video: VideoEmbedding) -> NDArray[np.float64]:
        return (snapshot.vectors.astype(np.float64) @ video.embedding.T).max(axis=1)

    expected = (best(liked[0]) + best(liked[1])) / 2 + UNLIKED_WEIGHT * best(unliked[0])
    row = {(v, c): f + c for v, f, n in zip(*table_of(index), strict=True) for c in range(n)}
    assert len(hits) == len(expected)
    for hit in hits:
        assert hit.score == pytest.approx(expected[row[hit.video_id, hit.clip]], abs=2e-6)
    with pytest.raises(UsageError, match="needs an example of what is wanted"):
        Query.of_examples([], unliked)


def table_of(index: VideoIndex) -> tuple[list[int], list[int], list[int]]:
    table = index.snapshot().rows
    return table.video_ids.tolist(), table.first_rows.tolist(), table.num_rows.tolist()


def test_videos_are_compared_by_their_means(index: VideoIndex) -> None:
    query = embedding_of("q", 3)
    hits = index.search(query, top=99, match="mean", keep_duplicates=True)
    vectors = index.snapshot().vectors.astype(np.float64)
    asked = query.embedding.astype(np.float64).mean(axis=0)
    scores = {}
    for video_id, first, count in zip(*table_of(index), strict=True):
        mean = vectors[first : first + count].mean(axis=0)
        scores[video_id] = mean @ asked / np.linalg.norm(mean) / np.linalg.norm(asked)
    assert [hit.video_id for hit in hits] == sorted(scores, key=lambda video_id: -scores[video_id])
    assert [hit.score for hit in hits] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-6)
    durations = {video.video_id: video.duration_seconds for video in index.videos()}
    assert {hit.video_id: hit.end_seconds for hit in hits} == durations
    with pytest.raises(UsageError, match="has no moments"):
        index.search(query, match="mean", grouping="moment")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"top": 0}, "top"),
        ({"offset": -1}, "offset"),
        ({"grouping": "videos"}, "grouping"),
        ({"match": "mode"}, "match"),
        ({"min_score": float("nan")}, "min_score"),
    ],
)
def test_options_out_of_range_are_refused(index: VideoIndex, option: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        index.search(embedding_of("q"), **option)  # type: ignore[arg-type]


def test_an_empty_index_has_no_hits(tmp_path: Path) -> None:
    put(tmp_path / "index", [])
    opened = VideoIndex(tmp_path / "index")
    assert opened.search(embedding_of("q")) == []
    assert opened.search(embedding_of("q"), match="mean", filters=Filters(labels=("x",))) == []


def test_threads_open_an_index_once_and_later_states_prove_new_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "index", [embedding_of(name) for name in "abc"])
    opened, proven = VideoIndex(tmp_path / "index"), []
    from cocon.client.index.files import snapshot

    original = snapshot.row_checksums
    monkeypatch.setattr(snapshot, "row_checksums", lambda rows: proven.append(len(rows)) or original(rows))  # type: ignore[func-returns-value]
    threads = [threading.Thread(target=opened.search, args=[embedding_of("a")]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert proven == [9]
    put(opened.folder, [embedding_of("d")])
    assert opened.search(embedding_of("d"))[0].video == "/videos/d"
    assert proven == [9, 3]


def test_damaged_vectors_are_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "index", [embedding_of(name) for name in "abc"])
    (path,) = (tmp_path / "index").glob("vectors-*")
    content = bytearray(path.read_bytes())
    content[4 * 8 * 4 + 3] ^= 0x10  # in the second clip of b
    path.write_bytes(content)
    opened = VideoIndex(tmp_path / "index")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            hits = opened.search(embedding_of("b"), grouping="moment", top=99)
            assert (2, 1) not in [(hit.video_id, hit.clip) for hit in hits]
            assert len(hits) == 8
    assert caplog.text.count("left out") == 1
    assert "/videos/b" not in [hit.video for hit in opened.search(embedding_of("b"), match="mean")]
