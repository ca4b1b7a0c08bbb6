"""What is waited for is said once, whoever waits for it, and stands beside all progress."""

import logging
import re
import sys

import pytest

from cocon.core import progress
from cocon.core.telling.waits import awaited, waiting_for


def test_two_who_wait_for_the_same_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        with waiting_for("server a") as say:
            with waiting_for("server a") as say_too, waiting_for("server b"):
                assert awaited() == ["server a", "server b"]
                say("it stops")
                say_too("it is not ready")
            assert awaited() == ["server a"]
        assert awaited() == []
    told = [re.sub(r"\d\.\d", "N", message) for message in caplog.messages]
    assert told == ["waiting for server a: it stops", "waited N s for server a"] * 2


def test_it_stands_beside_the_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.01)
    with progress.progress_bar("videos") as on_progress, waiting_for("server a"):
        on_progress(2, 40)
        while not (told := capsys.readouterr().err):
            sys.stderr.flush()
    assert "waiting for server a" in told
