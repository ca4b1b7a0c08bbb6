"""Vectors in a plane: neighbours stay neighbours, and the same vectors make the same picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.projection.layout import laid_out
from cocon.client.index.projection.neighbours import nearest


def clustered(num_clusters: int, size: int, dim: int = 16) -> NDArray[np.float32]:
    """Unit vectors, cluster by cluster."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(num_clusters, dim)), size, axis=0)
    vectors = centres + 0.2 * rng.normal(size=centres.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_neighbours_stay_neighbours_and_the_picture_is_the_same_again() -> None:
    vectors = clustered(6, 30)
    steps: list[tuple[int, int | None]] = []
    xy = laid_out(vectors, on_progress=lambda done, total: steps.append((done, total)))
    assert xy.dtype == np.float32 and xy.shape == (180, 2)
    assert np.abs(xy).max() == pytest.approx(1)
    found = nearest(xy, xy, 11).without_selves().rows
    assert (found // 30 == np.arange(180)[:, None] // 30).mean() > 0.99
    np.testing.assert_array_equal(xy, laid_out(vectors))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == (850, 850)


@pytest.mark.parametrize("count", [0, 1, 2, 11, 12, 40])
def test_few_vectors_have_places_too(count: int) -> None:
    xy = laid_out(clustered(4, 10)[:count])
    assert xy.shape == (count, 2) and np.isfinite(xy).all()
    assert count < 2 or np.abs(xy).max() == pytest.approx(1)


def test_equal_vectors_and_those_of_one_dimension_have_places() -> None:
    equal = np.repeat(clustered(1, 1), 30, axis=0)
    assert np.isfinite(laid_out(equal)).all()
    assert np.isfinite(laid_out(clustered(3, 10, dim=1))).all()


def test_who_watches_may_stop_it() -> None:
    def stop(done: int, total: int | None) -> None:
        if done > 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        laid_out(clustered(4, 10), on_progress=stop)


def test_neighbours_of_very_many_are_almost_all_found() -> None:
    vectors = clustered(300, 70, dim=8)
    asked = vectors[::1000]
    found = nearest(vectors, asked, 10)
    distances = np.linalg.norm(vectors[None] - asked[:, None], axis=2)
    exact = np.argsort(distances, axis=1)[:, :10]
    kept = [len(set(a) & set(b)) / 10 for a, b in zip(found.rows.tolist(), exact.tolist(), strict=True)]
    assert np.mean(kept) > 0.9
    np.testing.assert_allclose(found.distances[:, 1], np.sort(distances, axis=1)[:, 1], atol=1e-2)


def test_a_copy_that_comes_before_a_vector_is_its_neighbour() -> None:
    vectors = np.repeat(clustered(2, 1), 3, axis=0)
    found = nearest(vectors, vectors, 3).without_selves()
    assert found.rows.shape == (6, 2)
    assert (found.rows // 3 == np.arange(6)[:, None] // 3).all()
