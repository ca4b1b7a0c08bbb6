"""R@k against the definition written out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.neighbours import nearest_neighbours
from cocon.training.evaluation.recognition.metrics import recall_at_k
from cocon.training.evaluation.recognition.predictions import centred


def _unit(rng: np.random.Generator, count: int, dim: int = 8) -> NDArray[np.float32]:
    vectors = rng.normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _slow_recall(
    queries: NDArray[np.float32],
    query_labels: NDArray[np.str_],
    gallery: NDArray[np.float32],
    gallery_labels: NDArray[np.str_],
    k: int,
) -> float:
    hits = 0
    for query, label in zip(queries, query_labels, strict=True):
        cosines = [(float(np.dot(query.astype(float), other)), index) for index, other in enumerate(gallery)]
        nearest = sorted(cosines, reverse=True)[:k]
        hits += any(gallery_labels[index] == label for _, index in nearest)
    return hits / len(queries)


@pytest.mark.parametrize("seed", range(5))
def test_recall_equals_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = _unit(rng, 23), _unit(rng, 31)
    names = np.array(["bow", "jump", "run", "sit", "wave"])
    query_labels, gallery_labels = names[rng.integers(0, 5, 23)], names[rng.integers(0, 5, 31)]
    recall = recall_at_k(nearest_neighbours(queries, gallery, 31)[1], query_labels, gallery_labels, ks=(1, 2, 5, 31))
    assert recall == {
        k: pytest.approx(_slow_recall(queries, query_labels, gallery, gallery_labels, k)) for k in (1, 2, 5, 31)
    }
    assert list(recall.values()) == sorted(recall.values())


def test_nothing_is_centred() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["bow", "jump", "run", "sit"] * 50)
    queries, gallery = (_unit(rng, 200) + np.eye(8, dtype=np.float32)[0] for _ in range(2))
    queries, gallery = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, gallery))
    recall = recall_at_k(nearest_neighbours(queries, gallery, 1)[1], labels, labels, ks=(1,))[1]
    centred = [x - gallery.mean(axis=0) for x in (queries, gallery)]
    centred = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in centred]
    assert recall == pytest.approx(_slow_recall(queries, labels, gallery, labels, 1))
    assert recall != pytest.approx(_slow_recall(centred[0], labels, centred[1], labels, 1))


def test_a_k_beyond_the_gallery_looks_at_all_of_it() -> None:
    rng = np.random.default_rng(0)
    _, nearest = nearest_neighbours(_unit(rng, 2), _unit(rng, 3), 20)
    recall = recall_at_k(nearest, np.array(["jump", "fly"]), np.array(["run", "jump", "bow"]), ks=(20,))
    assert recall == {20: 0.5}


def test_centred_vectors_have_no_mean_before_they_are_of_unit_length_again() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
    moved = vectors - np.array([0.8, 1.4 / 3])
    assert centred(vectors) == pytest.approx(moved / np.linalg.norm(moved, axis=1, keepdims=True), abs=1e-6)
    assert np.array_equal(centred(vectors[:1]), vectors[:1])
