"""Exact search beside brute force: every way to ask, to filter, to group, and what a damaged row may not do."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search import row_choice, scan, vector_search
from cocon.client.index.search.vector_query import VectorGroup, VectorQuery
from cocon.client.index.search.vector_search import VectorSearch
from cocon.core.errors import UsageError
from tests.client.index.search.brute_force import DIM, clustered, expected, table_of, unit

PAGES = ((1, 0), (3, 2), (10, 0), (1000, 5))


@pytest.fixture
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that videos end in the midst of a chunk, and long ones fill several."""
    monkeypatch.setattr(scan, "_MIN_CHUNK_ROWS", 7)
    monkeypatch.setattr(scan, "_MAX_CHUNK_ROWS", 16)
    monkeypatch.setattr(scan, "_MIN_GATHERED_ROWS", 9)
    monkeypatch.setattr(scan, "_MAX_GATHERED_VALUES", 9)


def corpus(rng: np.random.Generator, seed: int) -> tuple[RowTable, NDArray[np.float32]]:
    """Short and long videos, with and without dead rows; clusters, copies of a few vectors, and coarse grids."""
    num_videos = int(rng.integers(1, 40))
    counts, gaps = rng.integers(1, 30 if seed % 2 else 5, num_videos), rng.integers(0, 4, num_videos) * (seed % 3 > 0)
    table = table_of(counts.tolist(), gaps=gaps.tolist())
    vectors = clustered(rng, table)
    if seed % 5 == 0:
        vectors = vectors[np.arange(table.total_rows) % 7]
    if seed % 5 == 1:
        vectors = unit(np.round(2 * vectors) + 1e-9 * vectors.astype(np.float64))
    return table, vectors


def asked(rng: np.random.Generator, table: RowTable, vectors: NDArray[np.float32], seed: int) -> list[VectorQuery]:
    """Stored vectors, or several queries of several groups, which leave out some videos."""
    if seed % 4 == 0:
        return [VectorQuery.of(vectors[[row]]) for row in rng.integers(0, len(vectors), 3)]
    queries = []
    for number in range(int(rng.integers(1, 5))):
        chosen = vectors[rng.integers(0, len(vectors), 2)] if number % 2 else unit(rng.normal(size=(3, DIM)))
        groups = (VectorGroup(chosen), VectorGroup(unit(rng.normal(size=(1, DIM))), -0.5))[: 1 + seed % 2]
        queries.append(VectorQuery(groups, rng.integers(0, len(table.video_ids), int(rng.integers(0, 3)))))
    return queries


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("seed", range(30))
def test_answers_are_those_of_brute_force(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(row_choice, "_GATHERED_SHARE", [0, 0.4, 1][seed % 3])
    monkeypatch.setattr(vector_search, "_FEW_ROWS", [256, 0, 0, 0][seed % 4])
    monkeypatch.setattr(scan, "_KEPT_PER_ANSWER", [1, 4, 32][seed % 3])
    table, vectors = corpus(rng, seed)
    queries = asked(rng, table, vectors, seed)
    usable = np.ones(table.total_rows, np.bool_)
    allowed = allowed_rows = None
    if seed % 2 == 0:
        allowed = rng.random(len(table.video_ids)) < 0.5
        usable &= table.row_mask(np.flatnonzero(allowed))
    if seed % 7 >= 4:
        allowed_rows = rng.random(table.total_rows) < 0.6
        usable &= allowed_rows
    search = VectorSearch(vectors, table)
    for by_video, (top, offset), min_score in itertools.product((True, False), PAGES, (None, 0.3)):
        found = search.search(
            queries,
            top=top,
            offset=offset,
            grouping="video" if by_video else "moment",
            min_score=min_score,
            allowed=allowed,
            allowed_rows=allowed_rows,
        )
        for query, answer in zip(queries, found.answers, strict=True):
            wanted = expected(vectors, table, query, by_video=by_video, usable=usable, min_score=min_score)
            assert list(zip(answer.rows.tolist(), answer.scores.tolist(), strict=True)) == wanted[offset : offset + top]
            assert answer.videos.tolist() == table.videos_of(answer.rows).tolist()


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("factor", [3.0, np.nan, -np.inf, 1e38])
def test_damaged_rows_are_left_out_and_take_nobody_s_place(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    table, vectors = corpus(rng, 3)
    is_bad = rng.random(len(vectors)) < 0.2
    damaged = np.where(is_bad[:, None], np.float32(factor) * vectors, vectors)
    queries = asked(rng, table, vectors, 3)
    search = VectorSearch(damaged, table, is_sound=lambda rows: ~is_bad[rows])
    found = search.search(queries, top=5, grouping="video" if seed % 2 else "moment")
    for query, answer in zip(queries, found.answers, strict=True):
        wanted = expected(vectors, table, query, by_video=bool(seed % 2), usable=~is_bad)
        assert answer.rows.tolist() == [row for row, _ in wanted[:5]]
    assert is_bad[found.unsound].all()
    assert set(found.unsound.tolist()) <= set(search.unsound.tolist())
    assert len(found.unsound) == len(search.unsound)


def test_a_group_says_which_of_its_vectors_matched() -> None:
    vectors = np.eye(DIM, dtype=np.float32)
    search = VectorSearch(vectors, table_of([1] * DIM))
    liked, unlike = VectorGroup(vectors[[5, 2]]), VectorGroup(vectors[[3]], -1.0)
    (answer,) = search.search([VectorQuery((liked, unlike))], top=DIM).answers
    assert answer.rows.tolist() == [2, 5, 0, 1, 4, 6, 7, 3]
    assert answer.scores.tolist() == [1, 1, 0, 0, 0, 0, 0, -1]
    assert answer.query_clips.tolist()[:2] == [1, 0]


def test_equal_scores_are_in_the_order_of_their_keys_and_only_those_are_asked_for() -> None:
    vectors = np.eye(DIM, dtype=np.float32)[[0, 1, 0, 0, 1, 2]]
    table = table_of([1, 1, 2, 1, 1])
    keys = np.array(["c", "z", "a", "a", "y", "x"])
    questions: list[list[int]] = []

    def sort_keys(rows: NDArray[np.int64]) -> list[str]:
        questions.append(rows.tolist())
        return keys[rows].tolist()

    search = VectorSearch(vectors, table, sort_keys=sort_keys)
    (answer,) = search.search([VectorQuery.of(vectors[:1])], grouping="moment", top=3).answers
    assert answer.rows.tolist() == [2, 3, 0]
    assert questions == [[0, 2, 3]]
    (answer,) = search.search([VectorQuery.of(vectors[:1])], top=1).answers
    assert answer.rows.tolist() == [2]
    (answer,) = search.search([VectorQuery.of(vectors[1:2])], top=4).answers
    assert answer.rows.tolist() == [4, 1, 2, 0]
    (answer,) = search.search([VectorQuery.of(vectors[1:2])], top=2, offset=1).answers
    assert answer.rows.tolist() == [1, 2]


@pytest.mark.parametrize("counts", [[1] * 20_000, [20_000], [7, 19_986, 7]])
def test_equal_clips_and_long_videos_are_scanned_once(counts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []
    monkeypatch.setattr(
        scan._Scan, "candidates", lambda self, real=scan._Scan.candidates: scans.append(1) or real(self)
    )
    table = table_of(counts)
    vectors = np.tile(unit(np.ones((1, DIM))), (20_000, 1))
    (answer,) = VectorSearch(vectors, table).search([VectorQuery.of(vectors[:1])], top=10).answers
    assert answer.rows.tolist() == table.first_rows[:10].tolist()
    assert answer.scores.tolist() == [1.0] * min(10, len(counts))
    assert len(scans) == 1


def test_nothing_is_found_in_nothing() -> None:
    table, vectors = table_of([2, 3]), np.tile(unit(np.ones((1, DIM))), (5, 1))
    query = VectorQuery.of(vectors[:1])
    empty = VectorSearch(np.zeros((3, DIM), np.float32), table_of([])).search([query, query])
    nobody = VectorSearch(vectors, table).search([query], allowed=np.zeros(2, np.bool_))
    itself = VectorSearch(vectors, table).search([VectorQuery.of(vectors[:1], np.arange(2))])
    assert [len(answer.rows) for found in (empty, nobody, itself) for answer in found.answers] == [0, 0, 0, 0]
    assert VectorSearch(vectors, table).search([]).answers == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"top": 0},
        {"offset": -1},
        {"grouping": "videos"},
        {"allowed": np.ones(3, np.bool_)},
        {"allowed": np.ones(2, np.int64)},
        {"allowed_rows": np.ones(4, np.bool_)},
    ],
    ids=str,
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    search = VectorSearch(np.eye(5, DIM, dtype=np.float32), table_of([2, 3]))
    with pytest.raises(UsageError):
        search.search([VectorQuery.of(np.eye(1, DIM, dtype=np.float32))], **wrong)  # type: ignore[arg-type]
