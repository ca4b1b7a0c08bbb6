"""Two methods are compared video by video, in the same figure."""

from dataclasses import replace

import numpy as np
import pytest

from cocon.training.evaluation.recognition.differences import Difference, differences
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.result import EvaluationResult, evaluate_features


def _result(method: str, view: str = "rgb", *, noise: float = 0.1, seed: int = 0) -> EvaluationResult:
    """Of 30 training and 60 test videos of three classes."""
    rng = np.random.default_rng(seed)

    def videos(count: int) -> VideoFeatures:
        labels = np.array(list("abc" * count))
        vectors = np.eye(3)[np.tile(np.arange(3), count)] + noise * rng.normal(size=(3 * count, 3))
        unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return VideoFeatures({view: unit}, labels, np.array([f"group {i}" for i in range(3 * count)]))

    return evaluate_features({"train": videos(10), "test": videos(20)}, method)


def _of(found: tuple[Difference, ...], figure: str) -> Difference:
    return next(one for one in found if one.figure == figure)


def test_a_gain_counts_the_videos_that_only_one_has_right() -> None:
    better, worse = _result("cocon"), _result("random", noise=1.0, seed=1)
    gain = _of(differences(better, worse), "R@1")
    own, theirs = better.hits["rgb"]["R@1"], worse.hits["rgb"]["R@1"]
    gained, lost = int((own & ~theirs).sum()), int((theirs & ~own).sum())
    assert gained > lost >= 0
    assert gain.gain == pytest.approx(better.metrics[0].recall[1] - worse.metrics[0].recall[1])
    assert gain.standard_error == pytest.approx(100 * (gained + lost) ** 0.5 / 60)
    assert gain.is_beyond_error
    back = _of(differences(worse, better), "R@1")
    assert (back.gain, back.standard_error, back.is_beyond_error) == (-gain.gain, gain.standard_error, True)


def test_what_is_alike_or_nearly_so_differs_by_chance() -> None:
    same = _of(differences(_result("cocon"), _result("random")), "probe_top1")
    assert (same.gain, same.is_beyond_error) == (0, False)
    result = _result("cocon")
    hits = result.hits["rgb"]["R@1"].copy()
    hits[:3] = ~hits[:3]
    other = replace(result, hits={"rgb": {"R@1": hits}})
    assert not _of(differences(result, other), "R@1").is_beyond_error


def test_a_classifier_is_compared_with_classifiers_alone() -> None:
    result, other = _result("cocon"), _result("random")
    hits = {"rgb": {**result.hits["rgb"], "classifier_top1": result.hits["rgb"]["probe_top1"]}}
    assert {one.figure for one in differences(replace(result, hits=hits), other)} == {"probe_top1", "R@1"}


def test_other_test_videos_are_not_compared() -> None:
    result = _result("cocon")
    assert differences(result, replace(_result("random"), videos=("a", "b"))) == ()


def test_a_baseline_of_one_row_is_what_every_view_is_compared_with() -> None:
    found = differences(_result("cocon"), _result("flow-histogram", "flow"))
    assert {(one.view, one.method) for one in found} == {("rgb", "flow-histogram")}
