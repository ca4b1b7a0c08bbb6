from collections.abc import Mapping, Sequence

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.records import Moment
from cocon.client.index.search.hits import Hit
from cocon.client.index.search.nearest import nearest

NUM_CLIPS, DIM = 3000, 8


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """One video has 2000 of the clips, all near one direction: it fills the first lists of candidates."""
    rng = np.random.default_rng(0)
    crowd = np.eye(DIM)[0] + 0.1 * rng.normal(size=(2000, DIM))
    return unit(np.concatenate([crowd, rng.normal(size=(NUM_CLIPS - 2000, DIM))]))


def video_of(clip: int) -> str:
    return "crowd" if clip < 2000 else f"v{clip % 50:02d}"


def lookup(clips: Sequence[int]) -> Mapping[int, Moment]:
    return {clip: Moment(video_of(clip), float(clip), clip + 1.0, None) for clip in clips}


@pytest.fixture(scope="module")
def index(vectors: NDArray[np.float32]) -> faiss.IndexIDMap2:
    built = faiss.IndexIDMap2(faiss.IndexFlatIP(DIM))
    built.add_with_ids(vectors, np.arange(NUM_CLIPS))
    return built


@pytest.mark.parametrize("num_query_clips", [1, 3])
@pytest.mark.parametrize("top", [1, 5, 200])
def test_best_moment_of_each_video_equals_brute_force(
    index: faiss.IndexIDMap2, vectors: NDArray[np.float32], num_query_clips: int, top: int
) -> None:
    query = unit(np.eye(DIM)[:1] + 0.05 * np.random.default_rng(1).normal(size=(num_query_clips, DIM)))
    best: dict[str, float] = {}
    for clip, score in enumerate((vectors @ query.T).max(axis=1).tolist()):
        best[video_of(clip)] = max(best.get(video_of(clip), -1.0), score)
    expected = sorted(best.items(), key=lambda item: -item[1])[:top]

    hits = nearest(index, query, lookup, top=top)

    assert [hit.video for hit in hits] == [video for video, _ in expected]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=2e-6)
    assert [hit.rank for hit in hits] == list(range(1, len(expected) + 1))


def test_all_moments_may_be_of_one_video(index: faiss.IndexIDMap2) -> None:
    hits = nearest(index, unit(np.eye(DIM)[:1]), lookup, top=100, grouping="moment")
    assert {hit.video for hit in hits} == {"crowd"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len({hit.start_seconds for hit in hits}) == 100


def test_equal_scores_are_ordered_by_path_and_time() -> None:
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(DIM))
    index.add_with_ids(np.tile(unit(np.eye(DIM)[:1]), (4, 1)), np.array([7, 3, 9, 1]))
    places = {7: ("b", 0.0), 3: ("a", 2.0), 9: ("a", 1.0), 1: ("c", 0.0)}

    def where(clips: Sequence[int]) -> Mapping[int, Moment]:
        return {clip: Moment(places[clip][0], places[clip][1], 3.0, "x") for clip in clips}

    hits = nearest(index, unit(np.eye(DIM)[:1]), where, top=2)
    assert hits == [Hit(1, "a", 1.0, 3.0, 1.0, "x"), Hit(2, "b", 0.0, 3.0, 1.0, "x")]


def test_empty_index_has_no_hits() -> None:
    empty = faiss.IndexIDMap2(faiss.IndexFlatIP(DIM))
    assert nearest(empty, unit(np.eye(DIM)[:1]), lookup, top=3) == []
