"""An index in Milvus answers as a folder does: the same hits, in the same order, with the same scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import Condition, Filters, VideoIndex
from cocon.client.collection.milvus_index import MilvusIndex
from cocon.client.index.query.queries import Query
from cocon.client.index.query.search_options import SearchOptions
from tests.client.collection.conftest import LABELS, PART, made_up
from tests.client.index.conftest import embedding_of

FILTERS = (
    Filters(),
    Filters(labels=("jump",)),
    Filters(labels=(LABELS[1], LABELS[4])),
    Filters(not_labels=("jump", None)),
    Filters(labels=(None,)),
    Filters(labels=('no "such\\',)),
    Filters(paths=("/videos/v01*", "/videos/copy*")),
    Filters(paths=('/videos/"] or ["*',)),
    Filters(where=(Condition.parse("take>2"),)),
    Filters(where=(Condition.parse("na'me=x\"1"), Condition.parse("take!=3"))),
    Filters(where=(Condition.parse("text=3"),)),
    Filters(where=(Condition.parse('text="] or kind == "'),)),
    Filters(from_seconds=2.5, to_seconds=4),
    Filters(labels=("jump",), from_seconds=3),
    Filters(labels=(PART,)),
    Filters(labels=(PART, "jump"), not_labels=(LABELS[4],)),
    Filters(text="COPY1"),
)


def test_the_map_is_the_same_and_kept_in_the_users_cache(
    both: tuple[VideoIndex, MilvusIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder, kept = both[0], MilvusIndex(str(both[1]))
    assert kept.map() is None
    expected, _ = folder.compute_map(max_clips=60)
    made, is_new = kept.compute_map(max_clips=60)
    assert is_new and not Path("milvus:").exists()
    again = MilvusIndex(str(both[1])).map()
    assert again is not None
    for found in (made, again):
        np.testing.assert_array_equal(found.video_ids, expected.video_ids)
        np.testing.assert_array_equal(found.xy, expected.xy)
    assert [path.name for path in tmp_path.glob("cocon/maps/*/*")] == ["map.npz"]


def test_videos_are_listed_alike(both: tuple[VideoIndex, MilvusIndex]) -> None:
    folder, kept = both
    counts = []
    for filters in FILTERS:
        found = folder.videos(filters)
        assert kept.videos(filters) == found
        assert kept.videos(filters, top=3, offset=2) == found[2:5]
        assert kept.num_videos(filters) == len(found)
        counts.append(len(found))
    assert counts[0] == len(made_up())
    assert sorted(set(counts))[:2] == [0, min(count for count in counts if count)]


# A hundred queries, each with one of the filters; the usual search also without any.
@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(),
        SearchOptions(grouping="moment", exclude_self=True),
        SearchOptions(match="mean", top=5, offset=3),
        SearchOptions(keep_duplicates=True, min_score=0.8, top=20),
    ],
    ids=["videos", "moments", "means", "all copies"],
)
def test_a_hundred_queries_are_answered_alike(both: tuple[VideoIndex, MilvusIndex], options: SearchOptions) -> None:
    folder, kept = both
    stored, is_first = made_up(), options == SearchOptions()
    queries = [Query.of(embedding_of(f"q{number}", 1 + number % 4)) for number in range(60)]
    queries += [Query.of(video) for video in stored[::4][:40]]
    num_hits = 0
    for number, filters in enumerate(FILTERS):
        part = queries[number :: len(FILTERS)] if number or not is_first else queries
        asked = replace(options, filters=filters)
        found = kept.search_many(part, asked)
        assert found == folder.search_many(part, asked)
        num_hits += sum(map(len, found))
    assert num_hits > 200


def test_several_examples_are_answered_alike(both: tuple[VideoIndex, MilvusIndex]) -> None:
    folder, kept = both
    examples = [Query.of(embedding_of(f"e{number}", 1 + number)).examples[0] for number in range(4)]
    for liked, unliked in ((examples[:2], []), (examples[:1], examples[1:3]), (examples[2:], examples[:2])):
        query = Query.of_examples(liked, unliked)
        assert kept.search(query, top=12) == folder.search(query, top=12)


def test_all_vectors_are_the_same(both: tuple[VideoIndex, MilvusIndex]) -> None:
    folder, kept = both
    mine, others = kept.video_vectors(Filters(labels=("jump",))), folder.video_vectors(Filters(labels=("jump",)))
    assert mine.videos == others.videos
    np.testing.assert_array_equal(mine.vectors, others.vectors)
    (ours, theirs) = (index.clip_vectors(max_clips=50) for index in (kept, folder))
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    np.testing.assert_array_equal(ours.spans, theirs.spans)
