"""Alignment: the path is the best of all monotone ones, follows time as it was stretched, and takes no detours."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.alignment import (
    alignment_scores,
    best_monotone_path,
    block_similarities,
    double_centred,
    path_score,
    phase_bounds,
    soft_alignment,
)

Floats = NDArray[np.float32]
Pair = tuple[int, int]


def _unit_vectors(count: int, seed: int = 0, dim: int = 16) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _all_paths(num_rows: int, num_columns: int) -> Iterator[list[Pair]]:
    if (num_rows, num_columns) == (1, 1):
        yield [(0, 0)]
        return
    for down, right in ((1, 0), (0, 1), (1, 1)):
        if num_rows > down and num_columns > right:
            for path in _all_paths(num_rows - down, num_columns - right):
                yield [*path, (num_rows - 1, num_columns - 1)]


def _weighted_mean(similarities: Floats, path: list[Pair]) -> float:
    total = 2.0 * float(similarities[path[0]])
    for before, pair in pairwise(path):
        total += (pair[0] - before[0] + pair[1] - before[1]) * float(similarities[pair])
    return total / sum(similarities.shape)


def test_similarities_are_cosines_whatever_the_lengths() -> None:
    first, second = _unit_vectors(5, 1), _unit_vectors(7, 2)
    found = block_similarities(3 * first, second / 2)
    expected = [[float(a @ b) for b in second] for a in first]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32
    assert block_similarities(first, first).max() <= 1.0
    for unfit in (_unit_vectors(7, dim=8), _unit_vectors(0)):
        with pytest.raises(ValueError, match="must be"):
            block_similarities(first, unfit)


def test_a_soft_alignment_is_a_softmax_of_each_row_at_the_temperature() -> None:
    similarities = block_similarities(_unit_vectors(4, 1), _unit_vectors(6, 2))
    soft = soft_alignment(similarities, 0.5)
    for row, shares in zip(similarities, soft, strict=True):
        exponentials = [np.exp(similarity / 0.5) for similarity in row]
        np.testing.assert_allclose(shares, exponentials / sum(exponentials), rtol=1e-5)
    sharp = soft_alignment(similarities, 1e-3)
    assert (sharp.argmax(axis=1) == similarities.argmax(axis=1)).all()
    assert sharp.max(axis=1).min() > 0.9
    with pytest.raises(ValueError, match="temperature"):
        soft_alignment(similarities, 0.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (3, 3), (5, 4), (4, 6), (6, 6)])
def test_no_other_monotone_path_is_better(shape: Pair) -> None:
    for seed in range(10):
        similarities = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
        path = best_monotone_path(similarities)
        best = max(_weighted_mean(similarities, candidate) for candidate in _all_paths(*shape))
        assert path_score(similarities, path) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (8, 8), (3, 7), (9, 4)])
def test_many_pairs_at_once_score_as_one_by_one(shape: Pair) -> None:
    rng = np.random.default_rng(shape[0])
    similarities = rng.uniform(-1, 1, (60, *shape)).astype(np.float32)
    similarities[20:40] = rng.integers(-1, 2, (20, *shape))  # many paths are equally good
    similarities[40:] = similarities[40:].round(1)
    for precise in (similarities, similarities.astype(np.float64)):
        expected = [path_score(one, best_monotone_path(double_centred(one))) for one in precise]
        found = alignment_scores(precise)
        assert (found.shape, found.dtype) == ((60,), np.float64)
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert alignment_scores(similarities[:0]).shape == (0,)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (30, 30), (17, 40), (40, 17)])
def test_a_path_goes_from_the_beginning_of_both_to_their_end_and_never_back(shape: Pair) -> None:
    path = best_monotone_path(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    assert path.dtype == np.int64
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [shape[0] - 1, shape[1] - 1]
    steps = np.diff(path, axis=0)
    assert ((steps >= 0) & (steps <= 1)).all()
    assert (steps.sum(axis=1) >= 1).all()


def test_a_video_against_itself_is_the_diagonal() -> None:
    vectors = _unit_vectors(50)
    path = best_monotone_path(block_similarities(vectors, vectors))
    assert path.tolist() == [[block, block] for block in range(50)]
    assert path_score(block_similarities(vectors, vectors), path) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("level", [-0.3, 0.0, 0.9])
def test_where_all_is_alike_the_path_takes_no_detour(level: float) -> None:
    """A plain sum of similarities would prefer many pairs, a plain mean of costs few."""
    similarities = np.full((12, 12), level, np.float32)
    path = best_monotone_path(similarities)
    assert path.tolist() == [[block, block] for block in range(12)]
    assert path_score(similarities, path) == pytest.approx(level, abs=1e-6)


def test_a_video_against_itself_at_half_speed_has_slope_two() -> None:
    vectors = _unit_vectors(40)
    slow = np.repeat(vectors, 2, axis=0)
    path = best_monotone_path(block_similarities(vectors, slow))
    assert (path[:, 0] == path[:, 1] // 2).all()
    slope = np.polyfit(path[:, 0], path[:, 1], 1)[0]
    assert slope == pytest.approx(2.0, abs=0.01)


def test_double_centring_is_taking_the_mean_block_from_either_video() -> None:
    first, second = _unit_vectors(8, 1), _unit_vectors(11, 2)
    expected = (first - first.mean(axis=0)) @ (second - second.mean(axis=0)).T
    np.testing.assert_allclose(double_centred(block_similarities(first, second)), expected, atol=1e-6)


def test_the_path_does_not_wait_at_a_moment_that_is_like_everything() -> None:
    similarities = 0.5 * np.eye(30, dtype=np.float32)
    similarities[10] += 1.5
    waiting, moving = (best_monotone_path(each) for each in (similarities, double_centred(similarities)))
    assert (waiting[:, 0] == 10).sum() > 15
    assert moving.tolist() == [[block, block] for block in range(30)]


def test_exchanging_the_videos_turns_the_path_over() -> None:
    similarities = block_similarities(_unit_vectors(20, 1), _unit_vectors(31, 2))
    assert best_monotone_path(similarities.T)[:, ::-1].tolist() == best_monotone_path(similarities).tolist()


def test_what_is_no_matrix_of_similarities_is_refused() -> None:
    for unfit in (np.zeros((0, 3)), np.zeros(3), np.array([[0.0, np.nan]])):
        with pytest.raises(ValueError, match="finite matrix"):
            best_monotone_path(unfit.astype(np.float32))


def test_phases_begin_where_the_videos_change() -> None:
    kinds, noise = _unit_vectors(3, 1), np.random.default_rng(2)
    first = np.repeat(kinds, (7, 4, 9), axis=0) + noise.normal(0, 0.05, (20, 16)).astype(np.float32)
    path = np.stack([np.arange(20), np.arange(20)], axis=1)
    assert phase_bounds(first, first, path, 3).tolist() == [0, 7, 11, 20]


def test_phases_are_the_best_of_all_partitions() -> None:
    first, second = _unit_vectors(9, 1), _unit_vectors(9, 2)
    path = np.stack([np.arange(9), np.arange(9)], axis=1)
    pairs = np.concatenate([first, second], axis=1)

    def scatter(bounds: tuple[int, ...]) -> float:
        return sum(float(((pairs[a:b] - pairs[a:b].mean(axis=0)) ** 2).sum()) for a, b in pairwise(bounds))

    candidates = [(0, a, b, 9) for a in range(1, 8) for b in range(a + 1, 9)]
    assert tuple(phase_bounds(first, second, path, 3)) == min(candidates, key=scatter)


@pytest.mark.parametrize(("length", "num_phases"), [(1, 1), (1, 6), (4, 6), (6, 6), (100, 6)])
def test_there_are_as_many_phases_as_asked_for_or_as_there_are_pairs(length: int, num_phases: int) -> None:
    vectors = _unit_vectors(length)
    bounds = phase_bounds(vectors, vectors, np.stack([np.arange(length)] * 2, axis=1), num_phases)
    assert len(bounds) == min(length, num_phases) + 1
    assert (bounds[0], bounds[-1]) == (0, length)
    mean = length / min(length, num_phases)
    assert np.diff(bounds).min() >= mean // 3
    assert np.diff(bounds).max() <= np.ceil(2 * mean)
