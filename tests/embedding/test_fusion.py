"""Fusion: the cosine of fused embeddings is the weighted mean of the views' cosines."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.fusion import EQUAL_WEIGHTS, fuse_embeddings, fuse_probabilities, softmax
from cocon.video.views import VIEWS

Floats = NDArray[np.float32]
DIMS = {"rgb": 6, "flow": 6, "pose": 4}


def _embeddings(count: int, seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    vectors = {view: rng.standard_normal((count, dim)).astype(np.float32) for view, dim in DIMS.items()}
    return {view: x / np.linalg.norm(x, axis=-1, keepdims=True) for view, x in vectors.items()}


WEIGHTS: list[Mapping[str, float]] = [
    EQUAL_WEIGHTS,
    {"rgb": 2.0, "flow": 2.0, "pose": 1.0, "mask": 1.0},
    {"rgb": 0.01, "flow": 5.0, "pose": 0.3},
]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("views", [("rgb",), ("rgb", "flow"), ("pose", "rgb"), ("rgb", "flow", "pose")])
def test_the_fused_cosine_is_the_weighted_mean_of_cosines(views: tuple[str, ...], weights: Mapping[str, float]) -> None:
    embeddings = {view: vectors for view, vectors in _embeddings(7).items() if view in views}
    fused = fuse_embeddings(embeddings, weights)
    expected = sum(weights[view] * embeddings[view] @ embeddings[view].T for view in views)
    expected /= sum(weights[view] for view in views)
    assert np.allclose(fused @ fused.T, expected, atol=1e-6)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_fused_embedding_is_float32_of_unit_length_and_the_sum_of_dimensions(weights: Mapping[str, float]) -> None:
    fused = fuse_embeddings(_embeddings(5), weights)
    assert fused.dtype == np.float32
    assert fused.shape == (5, 16)
    assert np.allclose(np.linalg.norm(fused, axis=-1), 1.0, atol=1e-6)


def test_one_view_alone_is_not_changed() -> None:
    embeddings = _embeddings(3)
    assert np.allclose(fuse_embeddings({"rgb": embeddings["rgb"]}), embeddings["rgb"], atol=1e-7)


def test_a_missing_view_leaves_the_others_at_their_ratio() -> None:
    embeddings, weights = _embeddings(4), {"rgb": 2.0, "flow": 1.0, "pose": 5.0}
    del embeddings["pose"]
    expected = np.sqrt(2 / 3) * embeddings["rgb"]
    assert np.allclose(fuse_embeddings(embeddings, weights)[:, 6:], expected, atol=1e-6)  # after flow, by the alphabet


def test_neither_the_order_of_views_nor_the_scale_of_weights_matters() -> None:
    embeddings = _embeddings(4)
    fused = fuse_embeddings(embeddings, {"rgb": 1.0, "flow": 2.0, "pose": 3.0})
    other = fuse_embeddings(dict(reversed(embeddings.items())), {"pose": 30.0, "flow": 20.0, "rgb": 10.0})
    assert np.allclose(fused, other, atol=1e-7)


def test_single_vectors_and_stacks_fuse_alike() -> None:
    embeddings = _embeddings(4)
    stacked = fuse_embeddings({view: x.reshape(2, 2, -1) for view, x in embeddings.items()})
    single = fuse_embeddings({view: x[3] for view, x in embeddings.items()})
    assert stacked.shape == (2, 2, 16)
    assert np.allclose(stacked[1, 1], single, atol=1e-7)


def test_every_view_has_a_weight() -> None:
    assert dict(EQUAL_WEIGHTS) == dict.fromkeys(VIEWS, 1.0)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_fused_probabilities_are_the_weighted_mean(weights: Mapping[str, float]) -> None:
    rng = np.random.default_rng(0)
    probabilities = {view: softmax(rng.standard_normal((4, 3)).astype(np.float32)) for view in ("rgb", "pose")}
    fused = fuse_probabilities(probabilities, weights)
    for row in range(4):
        for label in range(3):
            mean = sum(weights[view] * probabilities[view][row, label] for view in probabilities)
            assert fused[row, label] == pytest.approx(mean / (weights["rgb"] + weights["pose"]), abs=1e-6)
    assert np.allclose(fused.sum(axis=-1), 1.0, atol=1e-6)
    assert fused.dtype == np.float32


def test_softmax_gives_probabilities_of_any_logits() -> None:
    assert np.allclose(softmax(np.log(np.array([1.0, 2.0, 5.0], np.float32))), [0.125, 0.25, 0.625])
    assert np.allclose(softmax(np.array([[1e4, 0.0], [-1e4, -1e4]], np.float32)), [[1, 0], [0.5, 0.5]])
