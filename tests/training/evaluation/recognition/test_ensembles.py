"""Weights of views: those of the least loss, and those that retrieval among the training videos earns."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.fusion import fuse_probabilities
from cocon.training.evaluation.recognition.ensembles import (
    PAPER_WEIGHTS,
    pool_weights,
    pooled,
    retrieval_weights,
)


def _tables(rng: np.random.Generator, targets: NDArray[np.int64], trust: dict[str, float]) -> dict[str, NDArray]:
    """Random class probabilities that lean to the truth as far as a view can be trusted."""
    truth = np.eye(4)[targets]
    return {view: (1 - t) * rng.dirichlet(np.ones(4), len(targets)) + t * truth for view, t in trust.items()}


def _loss(weights: NDArray[np.float64], tables: dict[str, NDArray], targets: NDArray[np.int64]) -> float:
    """Negative log likelihood of Π p^w / Σ Π p^w."""
    product = np.prod([table**weight for weight, table in zip(weights, tables.values(), strict=True)], axis=0)
    truth = product[np.arange(len(targets)), targets]
    return float(-np.log(truth / product.sum(axis=1)).mean())


@pytest.mark.parametrize("seed", range(3))
def test_no_other_weights_have_less_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 4, 80)
    tables = _tables(rng, targets, {"rgb": 0.3, "flow": 0.25, "pose": 0.05})
    weights = np.array(list(pool_weights(tables, targets).values()))
    least = _loss(weights, tables, targets)
    assert min(weights) >= 0
    assert least < _loss(np.full(3, 1 / 3), tables, targets)
    for step in rng.normal(size=(100, 3)) * rng.uniform(0.01, 1, (100, 1)):
        assert _loss(np.maximum(weights + step, 0), tables, targets) >= least - 1e-6


def test_pooled_probabilities_are_the_scaled_product_of_powers() -> None:
    rng = np.random.default_rng(0)
    tables = {view: rng.dirichlet(np.ones(4), 5) for view in ("rgb", "pose")}
    product = tables["rgb"] ** 0.7 * tables["pose"] ** 1.8
    expected = product / product.sum(axis=1, keepdims=True)
    assert pooled(tables, {"rgb": 0.7, "pose": 1.8}) == pytest.approx(expected)


def test_a_view_that_misleads_gets_no_weight_and_one_that_knows_gets_much() -> None:
    targets = np.array([0, 1, 2, 3] * 5)
    right, wrong = np.eye(4)[targets], np.eye(4)[(targets + 1) % 4]
    weights = pool_weights({"rgb": 0.6 * right + 0.1, "mask": wrong}, targets)
    assert weights["mask"] == 0
    assert weights["rgb"] > 1


def test_weights_are_equal_where_no_view_says_anything() -> None:
    targets = np.array([0, 1, 2, 3] * 5)
    misleading = np.eye(4)[(targets + 1) % 4]
    assert pool_weights({"rgb": misleading, "mask": misleading}, targets) == {"rgb": 0.5, "mask": 0.5}


def test_retrieval_weights_are_the_odds_of_r_at_1_in_other_groups() -> None:
    rng = np.random.default_rng(0)
    labels, groups = np.array(list("abc" * 10)), np.repeat(np.array(["ann", "bob", "eve"]), 10)
    embeddings = {}
    for view, noise in {"rgb": 0.3, "pose": 1.0}.items():
        vectors = np.eye(3)[np.searchsorted(["a", "b", "c"], labels)] + noise * rng.normal(size=(30, 3))
        embeddings[view] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    odds = {}
    for view, vectors in embeddings.items():
        hits = 0
        for i in range(30):
            others = [j for j in range(30) if groups[j] != groups[i]]
            best = max(others, key=lambda j: float(vectors[i] @ vectors[j]))
            hits += labels[best] == labels[i]
        assert 0 < hits < 30
        odds[view] = (hits / 30) / (1 - hits / 30)
    weights = retrieval_weights(embeddings, labels, groups)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cocon.embedding.neighbours._MAX_COSINES", 100)  # three videos at a time
        assert retrieval_weights(embeddings, labels, groups) == weights
    assert weights == pytest.approx({view: value / sum(odds.values()) for view, value in odds.items()})
    assert weights["rgb"] > weights["pose"]


def test_weights_stay_finite_where_a_view_is_always_or_never_right() -> None:
    labels, groups = np.array(["a", "b", "a", "b"]), np.array(["ann", "ann", "bob", "bob"])
    right, wrong = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]], np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]
    weights = retrieval_weights({"rgb": right, "pose": wrong}, labels, groups)
    assert weights["rgb"] / weights["pose"] == pytest.approx(99 * 99)


def test_weights_of_views_that_are_not_there_fall_away() -> None:
    tables = {"rgb": np.array([[1.0, 0.0]]), "pose": np.array([[0.0, 1.0]])}
    assert fuse_probabilities(tables, PAPER_WEIGHTS) == pytest.approx(np.array([[2 / 3, 1 / 3]]))
