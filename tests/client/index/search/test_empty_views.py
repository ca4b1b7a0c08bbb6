"""Hits that are like their query because nobody is to be seen in either."""

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.empty_views import shared_emptiness as shared_emptiness_beside

VIEWS = ("flow", "mask", "pose", "rgb")
RNG = np.random.default_rng(5)


def _units(*shape: int) -> NDArray[np.float32]:
    vectors = RNG.normal(size=shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _fused(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = np.sqrt(np.array([0.1, 0.2, 0.3, 0.4], np.float32))[:, None]
    return np.asarray((parts * weights).reshape(len(parts), -1), np.float32)


def shared_emptiness(
    views: tuple[str, ...], queries: NDArray[np.float32], found: NDArray[np.float32]
) -> list[tuple[str, ...]]:
    """Without other clips, in views of one width."""
    width = queries.shape[1] // len(views)
    return shared_emptiness_beside(
        dict.fromkeys(views, width), queries, found, found[:0], np.zeros((len(queries), 0), np.bool_)
    )


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
    found /= np.linalg.norm(found, axis=2, keepdims=True)
    assert shared_emptiness(VIEWS, _fused(queries), _fused(found)) == [("mask", "pose"), ()]


def test_the_same_pictures_are_no_emptiness() -> None:
    queries = _fused(_units(1, 4, 8))
    assert shared_emptiness(VIEWS, queries, queries) == [()]


def test_of_views_of_people_alone_what_a_third_video_shares_is_empty() -> None:
    queries, third = _units(1, 8), np.array([[True, False]])
    others = np.concatenate([_units(1, 8), queries])
    assert shared_emptiness(("pose",), queries, queries) == [()]  # a copy, whoever is in it
    assert shared_emptiness_beside({"pose": 8}, queries, queries, others, third) == [()]
    assert shared_emptiness_beside({"pose": 8}, queries, queries, others, ~third) == [("pose",)]
    assert shared_emptiness_beside({"rgb": 8}, queries, queries, others, ~third) == [()]


def test_views_of_different_widths_are_not_cut_where_none_ends() -> None:
    parts = [(_units(2, width) * np.sqrt(0.5, dtype=np.float32)) for width in (8, 24)]
    queries, found = np.concatenate(parts, axis=1), np.concatenate([parts[0], -parts[1]], axis=1)
    found[:, :16] = queries[:, :16]
    assert shared_emptiness(("pose", "rgb"), queries, found) == [(), ()]
    beside = found[:0], np.zeros((2, 0), np.bool_)
    assert shared_emptiness_beside({"pose": 8, "rgb": 24}, queries, found, *beside) == [("pose",), ("pose",)]


def test_where_nothing_says_where_a_view_ends_nothing_is_told() -> None:
    vectors = _units(1, 31)
    assert shared_emptiness(VIEWS, vectors, vectors) == [()]
    assert shared_emptiness(VIEWS, vectors[:0], vectors[:0]) == []
