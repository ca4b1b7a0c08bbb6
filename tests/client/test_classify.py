from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder, top_actions
from cocon.client.classify import check_labels
from cocon.core.errors import MismatchError

from .conftest import LABELS, contract, make_repository


def test_probabilities_are_the_mean_over_clips_and_sum_to_one(embedder: VideoEmbedder, videos: list[Path]) -> None:
    result = embedder.embed(videos[0])
    predictions = top_actions(result, check_labels(embedder.model), top=len(LABELS))
    assert sum(prediction.probability for prediction in predictions) == pytest.approx(1.0, abs=1e-5)
    assert [prediction.rank for prediction in predictions] == [1, 2, 3, 4, 5, 6]
    assert result.probabilities is not None
    mean = result.probabilities.mean(axis=0)
    assert predictions[0].label == LABELS[int(mean.argmax())]
    assert predictions[0].probability == pytest.approx(float(mean.max()), abs=1e-6)


def test_probabilities_of_views_are_averaged(url: str, videos: list[Path]) -> None:
    found = []
    for views in (("rgb",), ("flow",), ("rgb", "flow")):
        with VideoEmbedder(url, views=views) as embedder:
            found.append(embedder.embed(videos[0]).probabilities)
    rgb, flow, both = found
    assert rgb is not None and flow is not None and both is not None
    np.testing.assert_allclose(both, (rgb + flow) / 2, atol=1e-6)


def test_model_without_classifier_cannot_name_actions(tmp_path: Path, videos: list[Path]) -> None:
    root = make_repository(tmp_path / "models", contract("rgb", labels=()), contract("flow", labels=("a", "b")))
    with VideoEmbedder(f"local:{root}") as embedder:
        with pytest.raises(MismatchError, match="view rgb has no classifier"):
            check_labels(embedder.model)
        with pytest.raises(MismatchError, match="without probabilities"):
            top_actions(embedder.embed(videos[0]), LABELS)


def test_models_of_different_classes_are_not_averaged(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"), contract("flow", labels=("a", "b")))
    with (
        VideoEmbedder(f"local:{root}", views=("all",)) as embedder,
        pytest.raises(MismatchError, match="different classes"),
    ):
        check_labels(embedder.model)
