"""Blocks of several videos on their way through the models, in full batches.

A short video does not fill a batch, so the next one's blocks join it. With a server, a second batch is packed and sent
while the first is computed.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.embedder import Outputs
from cocon.embedding.videos.block_rows import BlockVectors
from cocon.embedding.videos.fused_model import FusedModel
from cocon.video.reading.reader import MultiViewClip

__all__ = ["Batches", "Gathering"]

Pixels = Mapping[str, NDArray[np.uint8]]
Source = TypeVar("Source")


@dataclass(slots=True)
class Gathering(Generic[Source]):
    """What is known of one video so far.

    Attributes:
        source: Where its clips come from.
        start_seconds: Of its clips.
        end_seconds: Likewise.
        clip_blocks: Numbers of each clip's blocks.
        num_blocks: Blocks that the clips have, each counted once.
        vectors: View → what is known of the next blocks, from the first on.
        num_embedded: Blocks of which it is known.
        is_decoded: Whether no more clips will come.
        error: Why it failed.
    """

    source: Source
    start_seconds: list[float] = field(default_factory=list)
    end_seconds: list[float] = field(default_factory=list)
    clip_blocks: list[tuple[int, ...]] = field(default_factory=list)
    num_blocks: int = 0
    vectors: list[dict[str, BlockVectors]] = field(default_factory=list)
    num_embedded: int = 0
    is_decoded: bool = False
    error: Exception | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will change."""
        return self.error is not None or (self.is_decoded and self.num_embedded == self.num_blocks)

    def expect(self, clip: MultiViewClip) -> int:
        """Record a clip whose new blocks are still to be embedded; gives the number of the first of them.

        Raises:
            ValueError: It is made of blocks that the video does not have.
        """
        first = self.num_blocks
        self.num_blocks += len(next(iter(clip.pixels.values())))
        if not all(0 <= number < self.num_blocks for number in clip.blocks):
            raise ValueError(f"clip {clip.index} of blocks {clip.blocks}, of which there are {self.num_blocks}")
        self.start_seconds.append(clip.start_seconds)
        self.end_seconds.append(clip.end_seconds)
        self.clip_blocks.append(clip.blocks)
        return first

    def take(self, first: int, vectors: dict[str, BlockVectors]) -> None:
        """Record what is said of the blocks from number `first` on; they come in order.

        Raises:
            ValueError: They are not the next ones.
        """
        if first != self.num_embedded:
            raise ValueError(f"block {first} came in the place of block {self.num_embedded}")
        self.vectors.append(vectors)
        self.num_embedded += len(next(iter(vectors.values())))

    def clips(self) -> dict[str, Outputs]:
        """View → what its encoder says of all K clips; raises like `BlockVectors.clips`."""
        numbers = np.array(self.clip_blocks, np.int64)  # [K, N]
        views = self.vectors[0]
        return {view: BlockVectors.joined([part[view] for part in self.vectors]).clips(numbers) for view in views}


@dataclass(frozen=True, slots=True)
class _Run(Generic[Source]):
    """Blocks of one video that follow one another; `first` is the number of the first, `pixels` have `[M, T, …]`."""

    video: Gathering[Source]
    first: int
    pixels: Pixels

    def __len__(self) -> int:
        return len(next(iter(self.pixels.values())))

    def part(self, begin: int, end: int) -> "_Run[Source]":
        return _Run(self.video, self.first + begin, {view: blocks[begin:end] for view, blocks in self.pixels.items()})


_Batch = list[_Run[Source]]


class Batches(Generic[Source]):
    """Collects the blocks of clips and embeds them. A context manager.

    Args:
        lanes: The same models as often as batches may be out at a time. Over a connection, none is used by two threads.
        max_rows: Of a batch; as many as the models take by default.
        asking: What a thread is in while it asks the models.
    """

    def __init__(
        self,
        lanes: Sequence[FusedModel],
        *,
        max_rows: int | None = None,
        asking: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._asking = asking
        self._lanes = deque(lanes)
        self._size = (max_rows or lanes[0].max_batch_size) * lanes[0].clip.num_blocks
        self._waiting: deque[_Run[Source]] = deque()
        self._out: deque[tuple[_Batch[Source], Future[list[dict[str, BlockVectors]]]]] = deque()
        self._threads = ThreadPoolExecutor(len(lanes), thread_name_prefix="embed")

    def put(self, video: Gathering[Source], clip: MultiViewClip) -> None:
        """Take a clip; raises what embedding an earlier one raised."""
        self._waiting.append(_Run(video, video.expect(clip), clip.pixels))
        while sum(map(len, self._waiting)) >= self._size:
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
        batch = self._next_batch()
        if not batch:
            return
        if len(self._out) == len(self._lanes):
            self._settle()  # batches are settled in order, so the next lane in turn is free then
        self._out.append((batch, self._threads.submit(self._ask, self._lanes[0], [run.pixels for run in batch])))
        self._lanes.rotate(-1)

    def _ask(self, lane: FusedModel, runs: Sequence[Pixels]) -> list[dict[str, BlockVectors]]:
        with self._asking():
            return lane.embed(runs)

    def _next_batch(self) -> _Batch[Source]:
        """As many waiting blocks as fit; those of a video that turned out to be bad are not worth a request."""
        batch: _Batch[Source] = []
        room = self._size
        while self._waiting and room:
            run = self._waiting.popleft()
            if run.video.error is not None:
                continue
            if len(run) > room:
                self._waiting.appendleft(run.part(room, len(run)))
                run = run.part(0, room)
            batch.append(run)
            room -= len(run)
        return batch

    def _settle(self) -> None:
        batch, result = self._out.popleft()
        for run, vectors in zip(batch, result.result(), strict=True):
            run.video.take(run.first, vectors)
