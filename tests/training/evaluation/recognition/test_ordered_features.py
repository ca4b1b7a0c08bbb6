"""Ordered features: the definition, what they tell that a mean does not, and the figures counted from them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.evaluation.recognition.features import VideoFeatures, ordered_feature, video_features
from cocon.training.evaluation.recognition.result import evaluate_features
from cocon.training.run_folder.files import RunFolder
from cocon.video.reading.reader import VideoSource
from cocon.video.store.dataset import DatasetFolder


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def _by_definition(
    blocks: NDArray[np.float32], seconds: NDArray[np.float64], duration_seconds: float
) -> NDArray[np.float64]:
    """For videos with a block in every third."""
    parts = []
    for number in range(3):
        first, last = duration_seconds * number / 3, duration_seconds * (number + 1) / 3
        inside = [b for b, t in zip(blocks, seconds, strict=True) if first <= t < last]
        mean = np.mean(inside, axis=0)
        parts.append(mean / np.linalg.norm(mean))
    return np.concatenate(parts) / 3**0.5


def test_the_same_blocks_in_reverse_order_have_the_same_mean_and_other_ordered_features() -> None:
    rng = np.random.default_rng(0)
    blocks, seconds = _unit(rng.normal(size=(12, 8))), np.linspace(0.2, 5.8, 12)
    forwards, backwards = ordered_feature(blocks, seconds, 6.0), ordered_feature(blocks[::-1], seconds, 6.0)
    assert forwards == pytest.approx(_by_definition(blocks, seconds, 6.0), abs=1e-6)
    first, middle, last = np.split(forwards, 3)
    assert backwards == pytest.approx(np.concatenate([last, middle, first]), abs=1e-6)
    assert float(forwards @ backwards) < 0.9
    assert [np.linalg.norm(vector) for vector in (forwards, backwards)] == pytest.approx([1, 1])
    assert forwards.dtype == np.float32


def test_the_cosine_is_the_mean_of_the_cosines_of_the_parts() -> None:
    rng = np.random.default_rng(1)
    seconds = np.linspace(0.2, 5.8, 12)
    one, other = (ordered_feature(_unit(rng.normal(size=(12, 8))), seconds, 6.0) for _ in range(2))
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(np.split(one, 3), np.split(other, 3), strict=True)
    ]
    assert float(one @ other) == pytest.approx(np.mean(cosines), abs=1e-6)


@pytest.mark.parametrize("duration_seconds", [0.0, 0.4])
def test_a_video_of_one_block_says_the_same_in_every_part(duration_seconds: float) -> None:
    block = _unit(np.array([[3.0, 4.0]]))
    found = ordered_feature(block, np.array([duration_seconds / 2]), duration_seconds)
    assert found == pytest.approx(np.tile(block[0], 3) / 3**0.5)


def test_a_part_without_a_block_takes_the_nearest_one_in_all_its_crops() -> None:
    blocks = np.eye(5, dtype=np.float32)
    seconds = np.array([0.1, 0.9, 0.9, 2.5, 2.5])  # of 3: none in the middle, and the first part's end is nearer
    first, middle, last = np.split(ordered_feature(blocks, seconds, 3.0) * 3**0.5, 3)
    assert first == pytest.approx(np.array([1, 1, 1, 0, 0]) / 3**0.5)
    assert middle == pytest.approx(np.array([0, 1, 1, 0, 0]) / 2**0.5)
    assert last == pytest.approx(np.array([0, 0, 0, 1, 1]) / 2**0.5)


def test_a_videos_ordered_features_are_of_the_blocks_a_served_model_gives(
    trained: Path, tiny_config: Callable[..., Config]
) -> None:
    config = tiny_config("views=['rgb']")
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    entries = DatasetFolder.open(config.data.folder).split("test")[:1]
    frames = VideoFrames(entries, config.data.folder, view_requests(config), cache_gib=1.0)
    features = video_features({"rgb": (encoder, contract)}, frames, on_progress=lambda done, total: None)
    alone = dataclasses.replace(config.clip.spec(), num_blocks=1)
    clips = list(VideoSource(entries[0].path, alone, view_requests(config), hop=1).clips())
    with torch.no_grad():
        blocks = encoder(torch.from_numpy(np.stack([clip.pixels["rgb"] for clip in clips]))).blocks.numpy()[:, 0]
    step = config.clip.step_seconds
    assert step is not None
    seconds = (np.arange(14) + 0.5) * step  # blocks of 2 of 15 grid frames, from each of them
    duration_seconds = float(frames[0].timestamps[-1])
    expected = _by_definition(blocks, seconds, duration_seconds)
    assert features.ordered["rgb"].shape == (1, 3 * encoder.embedding_dim)
    assert features.ordered["rgb"][0] == pytest.approx(expected, abs=1e-5)


def test_ordered_figures_tell_classes_apart_that_differ_in_order_only() -> None:
    rng = np.random.default_rng(0)

    def videos(count: int) -> VideoFeatures:
        """Sitting down and standing up: the same two phases, in `rgb` and `pose`."""
        phases, labels = np.repeat(np.eye(2), 6, axis=0), np.array(["down", "up"] * count)
        plain: dict[str, NDArray[np.float32]] = {}
        ordered: dict[str, NDArray[np.float32]] = {}
        for view in ("rgb", "pose"):
            shown = [phases if label == "down" else phases[::-1] for label in labels]
            blocks = [_unit(video + 0.2 * rng.normal(size=video.shape)) for video in shown]
            plain[view] = _unit(np.stack([video.mean(axis=0) for video in blocks]))
            ordered[view] = np.stack([ordered_feature(video, np.arange(12) + 0.5, 12.0) for video in blocks])
        groups = np.array([f"group {index % 4}" for index in range(2 * count)])
        return VideoFeatures(plain, labels, groups, ordered=ordered)

    rows = evaluate_features({"train": videos(20), "test": videos(20)}, "cocon").metrics
    assert [row.view for row in rows] == ["rgb", "pose", "ensemble", "ensemble_learned"]
    for row in rows:
        assert row.probe_top1 < 75
        assert row.recall[1] < 75
        assert row.ordered_probe_top1 == 100
        assert row.ordered_recall == {1: 100, 5: 100}
        assert row.to_dict()["ordered_R@5"] == 100
    learned = {name for name in rows[-1].to_dict() if name.startswith("weight_ordered_")}
    assert learned == {f"weight_ordered_{of}_{view}" for of in ("probe", "retrieval") for view in ("rgb", "pose")}


def test_without_ordered_features_there_are_no_such_figures() -> None:
    videos = VideoFeatures({"rgb": np.eye(4, dtype=np.float32)}, np.array(list("abcd")), np.array(list("abcd")))
    (row,) = evaluate_features({"train": videos, "test": videos}, "cocon").metrics
    assert not any("ordered" in name for name in row.to_dict())
