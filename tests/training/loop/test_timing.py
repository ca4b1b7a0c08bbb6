"""How long training will take, said once a session after its first steps; and a line an epoch."""

import re

from cocon.training.loop.timing import EpochLines, Forecast


def _said(*, first: int, total: int) -> list[str]:
    said: list[str] = []
    passed_on: list[tuple[int, int | None]] = []
    forecast = Forecast("pre-training", 3, lambda done, of: passed_on.append((done, of)), said.append)
    for done in range(first, total + 1):
        forecast(done, total)
    assert passed_on == [(done, total) for done in range(first, total + 1)]
    return said


def test_a_session_says_once_how_long_it_takes_and_on_which_steps_that_was_measured() -> None:
    (line,) = _said(first=0, total=12)
    assert re.fullmatch(
        r"pre-training: about \d+ min for 4 epochs \(\S+ s a step, measured on steps 3 to 5 of 12\)", line
    )


def test_a_resumed_session_says_it_of_what_is_left() -> None:
    (line,) = _said(first=6, total=12)
    assert "for 2 epochs left (" in line and "measured on steps 9 to 11 of 12)" in line


def test_too_few_steps_to_measure_say_nothing() -> None:
    assert _said(first=8, total=12) == []


def test_the_first_and_the_last_epoch_are_said_however_short_they_are() -> None:
    said: list[str] = []
    lines = EpochLines("pre-training", 4, said.append)
    lines.begin(0)
    for epoch in range(1, 5):
        lines("pretrain", epoch, {"loss": 2.0 / epoch, "spread/rgb": 0.9})
    assert len(said) == 2
    assert re.fullmatch(r"pre-training: epoch 1 of 4, loss 2, 0 s left", said[0])
    assert said[1] == "pre-training: epoch 4 of 4, loss 0.5"


def test_what_a_probe_found_is_said_each_time() -> None:
    said: list[str] = []
    lines = EpochLines("pre-training", 9, said.append)
    for epoch in (1, 2):
        lines("probe", epoch, {"probe_top1/rgb": 31.25, "R@1/rgb": 22.0, "R@5/rgb": 60.0, "probe_top1/flow": 40.0})
    assert said[1] == "probe after epoch 2 of 9: top1 rgb 31.2 %, flow 40.0 %; R@1 rgb 22.0 %"


def test_epochs_of_a_session_that_goes_on_are_counted_on() -> None:
    said: list[str] = []
    lines = EpochLines("training classifiers", 10, said.append)
    lines.begin(4)
    lines("classify", 5, {"loss": 1.0, "accuracy/rgb": 0.5})
    assert re.fullmatch(r"training classifiers: epoch 5 of 10, loss 1, accuracy rgb 50.0 %, \d+ s left", said[0])
