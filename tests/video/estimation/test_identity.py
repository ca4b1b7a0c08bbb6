"""Who makes a view: named by algorithm, revision and release, and told from others."""

from importlib.metadata import version

import cv2

from cocon.video.estimation.flow import FLOW_ALGORITHMS, FlowSpec
from cocon.video.estimation.identity import difference, identity_of


def _release(full: str) -> str:
    return ".".join(full.split(".")[:2])


def test_estimators_are_named_with_the_release_that_is_installed() -> None:
    opencv = _release(cv2.__version__)
    for algorithm in FLOW_ALGORITHMS:
        assert identity_of("flow", FlowSpec(algorithm=algorithm)) == f"{algorithm} r1 (opencv {opencv})"
    assert identity_of("flow") == identity_of("flow", FlowSpec())
    people = f"blazepose-full r1 (mediapipe {_release(version('mediapipe'))})"
    assert identity_of("pose") == identity_of("mask") == people
    assert identity_of("rgb") is identity_of("depth") is None


def test_what_is_known_of_both_and_differs_is_said() -> None:
    assert difference("it", "a", ("b", "c")) == "it is made by a, but the model learned from b and c"
    assert difference("it", "a", ("b", "a")) == difference("it", None, ("b",)) == difference("it", "a", ()) == ""
