"""Which test videos are shown with what they find."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.report.examples import retrieval_examples
from cocon.video.store.dataset import VideoEntry


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _videos(labels: list[str]) -> VideoFeatures:
    entries = tuple(VideoEntry(f"video {index}", Path(f"{index}.mp4"), label) for index, label in enumerate(labels))
    return VideoFeatures({}, np.array(labels), np.array(labels), entries)


def test_examples_are_hits_and_misses_of_different_classes_by_rank() -> None:
    train = _videos(list("aabb"))
    test = _videos(list("abb"))
    gallery = _unit(np.array([[1, 0], [1, 0.2], [0, 1], [0.2, 1]]))
    queries = _unit(np.array([[1, 0.1], [0.1, 1], [1, 0]]))  # a hit, a hit, a miss
    hit, miss = retrieval_examples(train, test, gallery, queries, num_neighbours=3)
    assert [one.query.video_id for one in (hit, miss)] == ["video 0", "video 2"]
    assert [found.is_same_class for found in hit.neighbours] == [True, True, False]
    assert [found.is_same_class for found in miss.neighbours] == [False, False, True]
    assert (hit.num_right, miss.num_right) == (2, 1)
    for one, query in ((hit, 0), (miss, 2)):
        scores = sorted((queries[query] @ gallery.T).tolist(), reverse=True)[:3]
        assert [found.score for found in one.neighbours] == pytest.approx(scores, abs=1e-6)


def test_there_are_no_more_examples_than_asked_for_and_one_of_a_class() -> None:
    labels = [f"class {index // 2:02d}" for index in range(40)]
    features = _videos(labels)
    vectors = _unit(np.random.default_rng(0).normal(size=(40, 8)))
    examples = retrieval_examples(features, features, vectors, vectors)
    chosen = [one.query.label for one in examples]
    assert len(chosen) == len(set(chosen)) == 8
    assert {chosen[0], chosen[-1]} == {"class 00", "class 19"}
