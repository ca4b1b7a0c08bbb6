"""How long training will take: said once a session, after its first steps."""

import re

from cocon.training.loop.timing import Forecast


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
