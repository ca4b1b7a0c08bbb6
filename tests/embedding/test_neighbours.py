"""Neighbours and their vote against the definitions written out."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.neighbours import (
    label_vote,
    nearest_by_best_moment,
    nearest_neighbours,
    query_chunks,
    unit_vectors,
)


def _unit(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    vectors = rng.normal(size=(count, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _slow_vote(query: NDArray[np.float32], gallery: NDArray[np.float32], labels: list[str], k: int) -> dict[str, float]:
    pairs = zip((gallery @ query).tolist(), labels, strict=True)
    cosines = sorted(pairs, reverse=True)[:k]
    votes: dict[str, float] = {}
    for cosine, name in cosines:
        votes[name] = votes.get(name, 0.0) + math.exp(cosine / 0.07)
    return {name: vote / sum(votes.values()) for name, vote in votes.items()}


@pytest.mark.parametrize("k", [1, 5, 20])
def test_a_vote_equals_the_definition(k: int) -> None:
    rng = np.random.default_rng(k)
    queries, gallery = _unit(rng, 7), _unit(rng, 40)
    labels = np.array(["bow", "jump", "run"])[rng.integers(0, 3, 40)]
    cosines, nearest = nearest_neighbours(queries, gallery, k)
    votes = label_vote(cosines, labels[nearest], ["bow", "jump", "run", "sit"])
    assert votes.shape == (7, 4)
    for query, row in zip(queries, votes, strict=True):
        expected = _slow_vote(query, gallery, labels.tolist(), k)
        assert row == pytest.approx([expected.get(name, 0.0) for name in ("bow", "jump", "run", "sit")], abs=1e-5)


def test_neighbours_come_best_first_equal_ones_in_order_and_no_more_than_there_are() -> None:
    gallery = np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32)
    cosines, nearest = nearest_neighbours(np.array([[1, 0]], np.float32), gallery, 20)
    assert nearest.tolist() == [[1, 3, 2, 0]]
    assert cosines == pytest.approx(np.array([[1, 1, 0.6, 0]]))


def test_a_much_nearer_neighbour_outvotes_many() -> None:
    cosines = np.array([[0.9, 0.5, 0.5, 0.5]], np.float32)
    labels = np.array([["jump", "bow", "bow", "bow"]])
    assert label_vote(cosines, labels, ["bow", "jump"]).argmax() == 1
    assert label_vote(cosines, labels, ["bow", "jump"], temperature=1.0).argmax() == 0


@pytest.mark.parametrize("k", [1, 3, 50, 400])
def test_chosen_in_chunks_they_are_those_of_a_full_stable_sort(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of small whole numbers: their products are exact, and very many are equal."""
    monkeypatch.setattr("cocon.embedding.neighbours._MAX_COSINES", 1000)
    rng = np.random.default_rng(k)
    queries, gallery = (rng.integers(-1, 2, (count, 4)).astype(np.float32) for count in (37, 300))
    assert len(list(query_chunks(37, 300))) == 13
    products = queries @ gallery.T
    expected = np.argsort(-products, axis=1, kind="stable")[:, :k]
    found, nearest = nearest_neighbours(queries, gallery, k)
    assert np.array_equal(nearest, expected)
    assert np.array_equal(found, np.take_along_axis(products, expected, axis=1))
    assert (found.dtype, nearest.dtype) == (np.float32, np.int64)


def test_a_gallery_beyond_the_budget_is_searched_query_by_query() -> None:
    assert list(query_chunks(2, 1 << 30)) == [slice(0, 1), slice(1, 2)]


def test_vectors_become_unit_vectors_but_for_those_without_length() -> None:
    vectors = np.array([[[3, 4], [0, 0]], [[0, -2], [1e-15, 0]]], np.float32)
    found = unit_vectors(vectors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[[0.6, 0.8], [0, 0]], [[0, -1], [1, 0]]], rtol=1e-6)


@pytest.mark.parametrize("max_cosines", [1, 500, 1 << 22])
def test_videos_are_as_alike_as_their_most_similar_clips(max_cosines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cocon.embedding.neighbours._MAX_COSINES", max_cosines)
    rng = np.random.default_rng(max_cosines)
    num_queries, num_gallery = rng.integers(1, 5, 9), rng.integers(1, 6, 21)
    queries, gallery = _unit(rng, num_queries.sum()), _unit(rng, num_gallery.sum())
    gallery[-num_gallery[-1] :] = gallery[0]  # the last video's clips are the first video's first clip
    of_queries = np.split(queries, np.cumsum(num_queries)[:-1])
    of_gallery = np.split(gallery, np.cumsum(num_gallery)[:-1])
    for k in (1, 4, 50):
        nearest = nearest_by_best_moment(queries, num_queries, gallery, num_gallery, k)
        assert nearest.shape == (9, min(k, 21))
        for query, found in zip(of_queries, nearest.tolist(), strict=True):
            scores = [round(float((query @ video.T).max()), 6) for video in of_gallery]
            assert found == sorted(range(21), key=lambda video: -scores[video])[:k]
