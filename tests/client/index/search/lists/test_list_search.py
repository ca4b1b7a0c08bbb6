"""Lists beside the exact search: what they find, what they may not miss, and what they leave to a scan."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.lists.building import make_lists, trained_lists
from cocon.client.index.search.lists.list_search import ListSearch
from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.search.lists.row_lists import RowLists
from cocon.client.index.search.vector_query import VectorGroup, VectorQuery
from cocon.client.index.search.vector_search import VectorSearch
from tests.client.index.search.brute_force import clustered, table_of, unit

NUM_VIDEOS, DIM = 400, 24
TABLE = table_of([5] * NUM_VIDEOS)
VECTORS = clustered(np.random.default_rng(0), TABLE, dim=DIM)
QUERIES = [VectorQuery.of(VECTORS[[row]], np.array([row // 5])) for row in range(0, 2000, 97)]


def in_memory(vectors: NDArray[np.float32], rows: NDArray[np.int64], num_probed: int = 12) -> RowLists:
    return RowLists(trained_lists(vectors, rows, num_lists=24), int(rows[-1]) + 1, num_probed)


@pytest.fixture(scope="module")
def lists() -> RowLists:
    return in_memory(VECTORS, np.arange(2000))


def rows_of(search: VectorSearch, queries: list[VectorQuery], **how: object) -> list[list[int]]:
    return [answer.rows.tolist() for answer in search.search(queries, **how).answers]  # type: ignore[arg-type]


def recall(found: list[list[int]], expected: list[list[int]]) -> float:
    return float(
        np.mean([len({*one} & {*other}) / max(1, len(other)) for one, other in zip(found, expected, strict=True)])
    )


@pytest.mark.parametrize("how", [{}, {"grouping": "moment"}, {"top": 3, "offset": 4}, {"min_score": 0.5}, {"top": 40}])
def test_lists_find_what_a_scan_finds(lists: RowLists, how: dict[str, object]) -> None:
    search = VectorSearch(VECTORS, TABLE, lists=lists)
    assert search.search(QUERIES[:1]).way == "lists"
    assert recall(rows_of(search, QUERIES, **how), rows_of(search, QUERIES, is_exact=True, **how)) >= 0.99
    found = search.search(QUERIES, **how).answers[3]  # type: ignore[arg-type]
    expected = search.search(QUERIES[3:4], is_exact=True, **how).answers[0]  # type: ignore[arg-type]
    assert found.scores.tolist() == expected.scores.tolist()


def test_a_query_of_several_clips_or_groups_is_found_too(lists: RowLists) -> None:
    search = VectorSearch(VECTORS, TABLE, lists=lists)
    liked, unlike = VectorGroup(VECTORS[[10]]), VectorGroup(VECTORS[[900]], -0.3)
    several = VectorGroup(VECTORS[[10, 11, 700]])
    queries = [VectorQuery((several,)), VectorQuery((liked, unlike)), VectorQuery((several, unlike))]
    found = search.search(queries)
    expected = search.search(queries, is_exact=True)
    assert found.num_scanned == 1, "the last one has no vector that all good answers are near"
    for mine, best in zip(found.answers, expected.answers, strict=True):
        assert mine.rows.tolist() == best.rows.tolist()
        assert mine.query_clips.tolist() == best.query_clips.tolist()


def test_rows_after_the_lists_are_found_and_dead_ones_are_not() -> None:
    lists = in_memory(VECTORS, np.arange(1000))
    gone = np.r_[3:40, 250:300]
    kept = np.setdiff1d(np.arange(NUM_VIDEOS), gone)
    table = RowTable(TABLE.video_ids[kept], TABLE.first_rows[kept], TABLE.num_rows[kept], 2000)
    search = VectorSearch(VECTORS, table, lists=lists)
    queries = [VectorQuery.of(VECTORS[[row]]) for row in (*range(15, 60), *range(1200, 1300), 1995)]
    assert search.search(queries).num_scanned == 0
    assert recall(rows_of(search, queries), rows_of(search, queries, is_exact=True)) >= 0.99
    assert rows_of(search, queries[-1:], top=1) == [[1995]]


def test_damaged_candidates_are_left_out_and_told(lists: RowLists) -> None:
    damaged = VECTORS.copy()
    damaged[[50, 51]] *= 2
    search = VectorSearch(damaged, TABLE, lists=lists, is_sound=lambda rows: ~np.isin(rows, [50, 51]))
    found = search.search([VectorQuery.of(VECTORS[[50]])])
    assert found.unsound.tolist() == search.unsound.tolist() == [50, 51]
    assert found.answers[0].rows[0] in (52, 53, 54)
    assert search.search([VectorQuery.of(VECTORS[[50]])]).unsound.tolist() == []


@pytest.mark.parametrize("share", [0.9, 0.3, 0.05, 0.0])
@pytest.mark.parametrize("near", [True, False])
def test_a_filter_leaves_out_also_whatever_is_near(
    lists: RowLists, share: float, near: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By chance, and just the videos that are not like the query."""
    monkeypatch.setattr(ListSearch, "suit", lambda self, choice: choice.num_rows > 200)  # so few rows need no lists
    query = VectorQuery.of(VECTORS[[7]])
    likeness = (VECTORS @ VECTORS[7]).reshape(-1, 5).max(axis=1)
    order = np.argsort(likeness) if near else np.random.default_rng(1).permutation(NUM_VIDEOS)
    allowed = np.zeros(NUM_VIDEOS, np.bool_)
    allowed[order[: int(share * NUM_VIDEOS)]] = True
    search = VectorSearch(VECTORS, TABLE, lists=lists)
    found, expected = search.search([query], allowed=allowed), search.search([query], allowed=allowed, is_exact=True)
    assert found.way == ("lists" if share > 0.1 else "gathered")
    assert found.answers[0].rows.tolist() == expected.answers[0].rows.tolist()


def test_equal_clips_and_videos_of_many_clips_are_left_to_one_scan() -> None:
    vectors = np.concatenate([np.tile(VECTORS[:1], (3000, 1)), VECTORS[1000:1500]])
    for counts in ([1] * 3500, [3000, 500], [3000, *[1] * 500]):
        table = table_of(counts)
        search = VectorSearch(vectors, table, lists=in_memory(vectors, np.arange(3500)))
        found = search.search([VectorQuery.of(vectors[:1])], top=5)
        assert found.num_scanned == 1
        exact = search.search([VectorQuery.of(vectors[:1])], top=5, is_exact=True)
        assert found.answers[0].rows.tolist() == exact.answers[0].rows.tolist()


def test_several_threads_search_at_once(lists: RowLists) -> None:
    search = VectorSearch(VECTORS, TABLE, lists=lists)
    expected = [rows_of(search, [query], is_exact=number % 2 == 0) for number, query in enumerate(QUERIES)]
    allowed = np.ones(NUM_VIDEOS, np.bool_)

    def ask(number: int) -> list[list[int]]:
        search.search(QUERIES[:3], allowed=allowed)
        return rows_of(search, [QUERIES[number % len(QUERIES)]], is_exact=number % len(QUERIES) % 2 == 0)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(3 * len(QUERIES)))) == 3 * expected


def test_lists_help_clusters_and_not_noise(tmp_path: Path) -> None:
    noise = unit(np.random.default_rng(0).normal(size=(2000, 128)))
    none = make_lists(tmp_path / "lists-0.faiss", noise, TABLE, np.arange(2000))
    assert none.file is None and none.why_none is not None and "no clusters" in none.why_none
    assert not list(tmp_path.iterdir())
    some = make_lists(tmp_path / "lists-1.faiss", VECTORS, TABLE, np.arange(2000))
    assert some.why_none is None and some.recall >= 0.99
    assert some.num_probed <= 0.15 * some.num_lists
    nobody = make_lists(tmp_path / "lists-2.faiss", VECTORS, TABLE, np.arange(0))
    assert nobody == replace(nobody, file=None, covered_rows=2000, why_none="there are no clips")
    assert ListsRecord.from_json(some.to_json()) == some


def test_lists_are_asked_under_a_filter_only_where_that_is_less_work(lists: RowLists) -> None:
    """Reading 12 of 24 lists ten times over is more than a scan; reading one is not where most rows are left."""
    query = VectorQuery.of(VECTORS[[7]])
    for num_probed, share, way in ((12, 0.8, "exact"), (1, 0.8, "lists"), (1, 0.45, "exact"), (12, 0.99, "lists")):
        allowed = np.arange(NUM_VIDEOS) < share * NUM_VIDEOS
        search = VectorSearch(VECTORS, TABLE, lists=RowLists(lists._index, 2000, num_probed))
        found, expected = (
            search.search([query], allowed=allowed),
            search.search([query], allowed=allowed, is_exact=True),
        )
        assert found.way == way
        assert found.answers[0].rows.tolist() == expected.answers[0].rows.tolist()
