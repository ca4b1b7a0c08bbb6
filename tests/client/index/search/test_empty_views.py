"""Hits that are like their query because nobody is to be seen in either."""

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.empty_views import shared_emptiness

VIEWS = ("flow", "mask", "pose", "rgb")
RNG = np.random.default_rng(5)


def _units(*shape: int) -> NDArray[np.float32]:
    vectors = RNG.normal(size=shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _fused(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = np.sqrt(np.array([0.1, 0.2, 0.3, 0.4], np.float32))[:, None]
    return np.asarray((parts * weights).reshape(len(parts), -1), np.float32)


def test_the_views_of_people_that_are_the_same_are_told() -> None:
    queries, found = _units(4, 4, 8), _units(4, 4, 8)
    found[1, 1:3] = queries[1, 1:3]  # mask and pose
    found[2, 2] = queries[2, 2]  # pose
    found[3, 3] = queries[3, 3]  # rgb: the same pictures, whoever is in them
    told = shared_emptiness(VIEWS, _fused(queries), _fused(found))
    assert told == [(), ("mask", "pose"), ("pose",), ()]


def test_rounding_makes_no_difference_and_likeness_no_emptiness() -> None:
    queries = _units(2, 4, 8)
    found = queries.copy()
    found[:, [0, 3]] = _units(2, 2, 8)
    found[0] *= 1 + 1e-7 * RNG.normal(size=(4, 8)).astype(np.float32)
    found[1, 1:3] += 0.02 * _units(2, 8)
    assert shared_emptiness(VIEWS, _fused(queries), _fused(found)) == [("mask", "pose"), ()]


def test_the_same_pictures_are_no_emptiness() -> None:
    queries = _fused(_units(1, 4, 8))
    assert shared_emptiness(VIEWS, queries, queries) == [()]


def test_of_views_of_people_alone_what_is_the_same_counts_as_empty() -> None:
    queries = _units(1, 8)
    assert shared_emptiness(("pose",), queries, queries) == [("pose",)]
    assert shared_emptiness(("rgb",), queries, queries) == [()]


def test_where_nothing_says_where_a_view_ends_nothing_is_told() -> None:
    vectors = _units(1, 31)
    assert shared_emptiness(VIEWS, vectors, vectors) == [()]
    assert shared_emptiness(VIEWS, vectors[:0], vectors[:0]) == []
