"""Neighbours and their vote against the definitions written out."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.neighbours import label_vote, nearest_neighbours


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
