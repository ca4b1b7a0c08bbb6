"""Batches that are out when somebody interrupts."""

import threading
from typing import Any

import pytest

from cocon.client.pipeline.batches import Batches, Gathering


class _Away:
    """A lane whose server is away."""

    max_batch_size = 1

    def __init__(self) -> None:
        self.closed, self.has_ended = threading.Event(), False

    def embed(self, clips: object) -> list[Any]:
        self.closed.wait(10)
        self.has_ended = True
        return [{}]


def test_who_interrupts_does_not_wait_for_the_server() -> None:
    lane = _Away()
    with pytest.raises(KeyboardInterrupt), Batches[str]([lane]) as batches:  # type: ignore[list-item]  # what is used of it
        batches.put(Gathering("video"), None)  # type: ignore[arg-type]  # nobody looks at it
        raise KeyboardInterrupt
    assert not lane.has_ended
    lane.closed.set()
