"""What is said where the networks wait for the decoder."""

import logging
import time

import pytest

from cocon.core.telling.waits import awaited
from cocon.training.data.stretches import waits
from cocon.training.data.stretches.waits import DecoderWaits


@pytest.fixture(autouse=True)
def _judged_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "_JUDGED_AFTER_S", 0.1)


def _taken(decoding_s: float, computing_s: float) -> None:
    taker = DecoderWaits(reuse=8)

    def decoded() -> list[str]:
        time.sleep(decoding_s)
        return awaited()

    for _ in range(8):
        assert taker.take(decoded) == ["the decoder"]
        assert awaited() == []
        time.sleep(computing_s)


def test_where_they_wait_much_it_is_said_once_and_what_helps(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _taken(0.05, 0.0)
    (message,) = caplog.messages
    assert "decoding is slower than the networks" in message
    assert int(message.rpartition("=")[2]) > 8


def test_where_they_hardly_wait_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _taken(0.0, 0.05)
    assert caplog.messages == []
