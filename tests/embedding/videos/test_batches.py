"""Batches that are out when somebody interrupts."""

import threading
from typing import Any

import numpy as np
import pytest

from cocon.embedding.videos.batches import Batches, Gathering
from cocon.video.clips import ClipSpec
from cocon.video.reading.reader import MultiViewClip


class _Away:
    """A lane whose server is away."""

    max_batch_size, clip = 1, ClipSpec(1, 1)

    def __init__(self) -> None:
        self.closed, self.has_ended = threading.Event(), False

    def embed(self, clips: object) -> list[Any]:
        self.closed.wait(10)
        self.has_ended = True
        return [{}]


def test_who_interrupts_does_not_wait_for_the_server() -> None:
    lane = _Away()
    with pytest.raises(KeyboardInterrupt), Batches[str]([lane]) as batches:  # type: ignore[list-item]  # what is used of it
        batches.put(Gathering("video"), MultiViewClip(0, 0.0, 0.1, (0,), {"rgb": np.zeros((1, 1, 2, 2, 3), np.uint8)}))
        raise KeyboardInterrupt
    assert not lane.has_ended
    lane.closed.set()
