"""R@k against the definition written out, and how sure a share of few videos is."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from cocon.embedding.neighbours import nearest_neighbours
from cocon.training.evaluation.recognition.counting import chance_of_recall, hits_at_k, wilson_interval
from cocon.training.evaluation.recognition.metrics import ViewMetrics, is_figure, shown_figures
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
    nearest = nearest_neighbours(queries, gallery, 31)[1]
    recall = {k: float(hits_at_k(nearest, query_labels, gallery_labels, k).mean()) for k in (1, 2, 5, 31)}
    assert recall == {k: pytest.approx(_slow_recall(queries, query_labels, gallery, gallery_labels, k)) for k in recall}
    assert list(recall.values()) == sorted(recall.values())


def test_nothing_is_centred() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["bow", "jump", "run", "sit"] * 50)
    queries, gallery = (_unit(rng, 200) + np.eye(8, dtype=np.float32)[0] for _ in range(2))
    queries, gallery = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, gallery))
    recall = hits_at_k(nearest_neighbours(queries, gallery, 1)[1], labels, labels, 1).mean()
    centred = [x - gallery.mean(axis=0) for x in (queries, gallery)]
    centred = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in centred]
    assert recall == pytest.approx(_slow_recall(queries, labels, gallery, labels, 1))
    assert recall != pytest.approx(_slow_recall(centred[0], labels, centred[1], labels, 1))


def test_a_k_beyond_the_gallery_looks_at_all_of_it() -> None:
    rng = np.random.default_rng(0)
    _, nearest = nearest_neighbours(_unit(rng, 2), _unit(rng, 3), 20)
    found = hits_at_k(nearest, np.array(["jump", "fly"]), np.array(["run", "jump", "bow"]), 20)
    assert found.tolist() == [True, False]


def test_centred_vectors_have_no_mean_before_they_are_of_unit_length_again() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
    moved = vectors - np.array([0.8, 1.4 / 3])
    assert centred(vectors) == pytest.approx(moved / np.linalg.norm(moved, axis=1, keepdims=True), abs=1e-6)
    assert np.array_equal(centred(vectors[:1]), vectors[:1])


@pytest.mark.parametrize(("right", "count"), [(0, 12), (12, 12), (37, 96), (480, 481), (1, 1)])
def test_an_interval_is_wilsons(right: int, count: int) -> None:
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson_interval(100 * right / count, count) == pytest.approx((100 * expected.low, 100 * expected.high))


@pytest.mark.parametrize("k", [1, 3, 20])
def test_what_guessing_finds_is_what_random_orders_find(k: int) -> None:
    rng = np.random.default_rng(0)
    gallery, queries = np.array(list("aaaaaabbc")), np.array(list("aabcd"))  # nothing is like d
    orders = np.stack([rng.permutation(len(gallery)) for _ in range(4000)])
    found = [hits_at_k(np.tile(order, (len(queries), 1)), queries, gallery, k).mean() for order in orders]
    assert chance_of_recall(queries, gallery, k) == pytest.approx(100 * np.mean(found), abs=1.0)


def _row(**figures: float) -> ViewMetrics:
    recall = dict.fromkeys((1, 5, 10, 20, 50), 50.0)
    counts = {"gallery_size": 10, "num_questions": 96, "num_classes": 6}
    return ViewMetrics("cocon", "rgb", 50.0, recall, 50.0, **counts, **figures)  # type: ignore[arg-type]  # counts


def test_a_standard_error_is_nearly_the_binomial_one_and_never_nothing() -> None:
    row = _row(classifier_top1=100.0)
    assert row.standard_errors.keys() == row.figures.keys()
    assert row.standard_errors["probe_top1"] == pytest.approx(100 * (0.25 / 96) ** 0.5, rel=0.03)
    assert 0.5 < row.standard_errors["classifier_top1"] < 2


def test_a_recall_that_finds_the_whole_gallery_is_not_shown() -> None:
    row = _row()
    assert {"R@1", "R@5"} <= shown_figures(row).keys()
    assert not {"R@10", "R@20", "R@50"} & shown_figures(row).keys()
    assert row.figures.keys() - shown_figures(row).keys() == {"R@10", "R@20", "R@50"}


def test_a_flat_row_tells_its_figures_from_what_stands_beside_them() -> None:
    row = _row(search_recall=40.0)
    flat = row.to_dict() | {"per_class": [], "per_class_of_classifier": [], "weight_probe_rgb": 1.0, "differences": {}}
    assert {name for name in flat if is_figure(name)} == row.figures.keys()
    assert flat["probe_top1_se"] == row.standard_errors["probe_top1"]
