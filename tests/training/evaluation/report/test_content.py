"""Maps of the test videos, and which classes are confused."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.report.content import confused_pairs, projections
from cocon.video.store.dataset import VideoEntry


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _features(embeddings: dict[str, NDArray[np.float32]], labels: list[str]) -> VideoFeatures:
    entries = tuple(VideoEntry(f"video {index}", Path(f"{index}.mp4"), label) for index, label in enumerate(labels))
    return VideoFeatures(embeddings, np.array(labels), np.array(labels), entries)


def _clusters(labels: list[str], *, noise: float, seed: int = 0) -> NDArray[np.float32]:
    """A direction of its own for every class."""
    axes = np.eye(8)[np.unique(labels, return_inverse=True)[1]]
    return _unit(axes + noise * np.random.default_rng(seed).normal(size=axes.shape))


def test_there_is_a_map_per_number_of_views_and_fusing_a_good_view_parts_the_classes() -> None:
    labels = list("abc" * 8)
    embeddings = {"rgb": _clusters(labels, noise=3.0), "flow": _clusters(labels, noise=0.1, seed=1)}
    one, both = projections(_features(embeddings, labels))
    assert (one.views, both.views) == (("rgb",), ("rgb", "flow"))
    assert one.silhouette is not None
    assert both.silhouette is not None
    assert both.silhouette > one.silhouette
    assert both.points.shape == (24, 2)
    again = projections(_features(embeddings, labels))[1]
    np.testing.assert_array_equal(both.points, again.points)


def test_the_silhouette_is_that_of_cosine_distances() -> None:
    """Rousseeuw 1987: (b - a) / max(a, b); a: mean distance within the class, b: to the nearest other class."""
    labels = np.array(list("aabbbc"))
    vectors = _clusters(labels.tolist(), noise=0.5)
    distances = 1 - vectors @ vectors.T
    values = []
    for index, label in enumerate(labels):
        own = (labels == label) & (np.arange(len(labels)) != index)
        if not own.any():
            values.append(0.0)
            continue
        a = distances[index, own].mean()
        b = min(distances[index, labels == other].mean() for other in set(labels) - {label})
        values.append((b - a) / max(a, b))
    (found,) = projections(_features({"rgb": vectors}, labels.tolist()))
    assert found.silhouette == pytest.approx(np.mean(values), abs=1e-5)


@pytest.mark.parametrize("num_videos", [1, 2, 3, 5])
@pytest.mark.parametrize("is_collapsed", [False, True])
def test_few_or_equal_videos_have_a_map_too(num_videos: int, is_collapsed: bool) -> None:
    labels = list("ababa")[:num_videos]
    vectors = _clusters(["a"] * num_videos if is_collapsed else labels, noise=0.0 if is_collapsed else 0.5)
    (found,) = projections(_features({"rgb": vectors}, labels))
    assert found.points.shape == (num_videos, 2)
    assert np.isfinite(found.points).all()


def test_a_map_of_very_many_videos_shows_some_of_every_part() -> None:
    labels = ["a"] * 2500 + ["b"] * 2500
    vectors = np.zeros((5000, 2), np.float32)
    vectors[:, 0] = 1
    thinned = _features({"rgb": vectors}, labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cocon.training.evaluation.report.content._MAX_MAPPED", 10)
        (found,) = projections(thinned)
    assert found.labels.tolist() == ["a"] * 5 + ["b"] * 5


def test_confused_pairs_are_sorted_and_leave_out_what_is_right() -> None:
    counts = np.array([[50, 2, 1], [0, 8, 2], [0, 0, 9]])
    pairs = confused_pairs(counts, ["a", "b", "c"], most=9)
    assert [(pair.truth, pair.predicted, pair.count) for pair in pairs] == [("b", "c", 2), ("a", "b", 2), ("a", "c", 1)]
    assert pairs[0].share == pytest.approx(0.2)
    assert confused_pairs(counts, ["a", "b", "c"], most=1) == pairs[:1]
