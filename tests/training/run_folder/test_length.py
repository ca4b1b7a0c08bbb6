"""What a run says of its length, and what it says where its summary does not tell."""

from collections.abc import Mapping
from typing import Any

import pytest

from cocon.training.config.files import load_config
from cocon.training.run_folder.length import TrainedLength

CONFIG = load_config("demo")


def test_a_run_that_went_on_to_its_end_says_its_steps() -> None:
    length = TrainedLength(epochs=150, steps=300, planned_steps=300)
    assert TrainedLength.of({"length": length.to_dict()}, CONFIG) == length
    assert (length.said, length.steps_said, length.is_short) == ("150 epochs (300 steps)", "300 steps", False)


def test_a_run_that_ended_before_its_time_says_of_which_step_it_is_and_why() -> None:
    length = TrainedLength(epochs=60, steps=120, planned_steps=300, ended_by="health")
    assert TrainedLength.of({"length": length.to_dict()}, CONFIG).is_short
    assert length.said == ("60 epochs (120 of 300 steps, the last healthy ones: embeddings collapsed after that)")


@pytest.mark.parametrize(
    ("summary", "classifier_epochs"),
    [
        ({}, CONFIG.classifier.epochs),
        ({"classifier": "fitted"}, 0),
        ({"classifier": "fitted", "length": {"epochs": 3}}, 0),
        ({"classifier": "fitted", "length": TrainedLength(3, 0, 9, 9).to_dict() | {"ended_by": "<b>"}}, 0),
        ({"classifier": "fitted", "length": TrainedLength(3, 0, 9, 9).to_dict() | {"epochs": "<b>"}}, 0),
    ],
    ids=["earlier release", "fitted", "other keys", "no reason", "no number"],
)
def test_without_a_word_of_it_the_configuration_says_what_was_asked_for(
    summary: Mapping[str, Any], classifier_epochs: int
) -> None:
    assert TrainedLength.of(summary, CONFIG) == TrainedLength(CONFIG.training.epochs, classifier_epochs)
