"""Clips of several videos on their way through the models, in full batches.

A short video does not fill a batch, so the next one's clips join it. With a server, a second batch is packed and sent
while the first is computed.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from cocon.client.models.fused_model import ClipVectors, FusedModel
from cocon.video.reading.reader import MultiViewClip

__all__ = ["Batches", "Gathering"]

Source = TypeVar("Source")


@dataclass(slots=True)
class Gathering(Generic[Source]):
    """What is known of one video so far.

    Attributes:
        source: Where its clips come from.
        start_seconds: Of the clips embedded so far.
        end_seconds: Likewise.
        vectors: View → vectors, likewise.
        num_waiting: Clips not embedded yet.
        is_decoded: Whether no more clips will come.
        error: Why it failed.
    """

    source: Source
    start_seconds: list[float] = field(default_factory=list)
    end_seconds: list[float] = field(default_factory=list)
    vectors: list[dict[str, ClipVectors]] = field(default_factory=list)
    num_waiting: int = 0
    is_decoded: bool = False
    error: Exception | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will change."""
        return self.error is not None or (self.is_decoded and self.num_waiting == 0)

    def take(self, clip: MultiViewClip, vectors: dict[str, ClipVectors]) -> None:
        """Record one embedded clip; they come in order."""
        self.start_seconds.append(clip.start_seconds)
        self.end_seconds.append(clip.end_seconds)
        self.vectors.append(vectors)
        self.num_waiting -= 1


class Batches(Generic[Source]):
    """Collects clips and embeds them. A context manager.

    Args:
        lanes: The same models over as many connections as batches may be out at a time: none is used by two threads.
    """

    def __init__(self, lanes: Sequence[FusedModel]) -> None:
        self._lanes = deque(lanes)
        self._size = lanes[0].max_batch_size
        self._waiting: list[tuple[Gathering[Source], MultiViewClip]] = []
        self._out: deque[tuple[list[tuple[Gathering[Source], MultiViewClip]], Future[list[dict[str, ClipVectors]]]]] = (
            deque()
        )
        self._threads = ThreadPoolExecutor(len(lanes), thread_name_prefix="embed")

    def put(self, video: Gathering[Source], clip: MultiViewClip) -> None:
        """Take a clip; raises what embedding an earlier one raised."""
        video.num_waiting += 1
        self._waiting.append((video, clip))
        if len(self._waiting) == self._size:
            self._send()

    def finish(self) -> None:
        """Embed what is left, and wait for everything."""
        self._send()
        while self._out:
            self._settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        # Who interrupts does not wait for a server that is away: closing the connections ends its threads.
        self._threads.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)

    def _send(self) -> None:
        # Clips of a video that turned out to be bad are not worth a request.
        batch = [(video, clip) for video, clip in self._waiting if video.error is None]
        self._waiting.clear()
        if not batch:
            return
        if len(self._out) == len(self._lanes):
            self._settle()  # batches are settled in order, so the next lane in turn is free then
        self._out.append((batch, self._threads.submit(self._lanes[0].embed, [clip for _, clip in batch])))
        self._lanes.rotate(-1)

    def _settle(self) -> None:
        batch, result = self._out.popleft()
        for (video, clip), vectors in zip(batch, result.result(), strict=True):
            video.take(clip, vectors)
