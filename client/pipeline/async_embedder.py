"""Videos in, vectors out, for coroutines.

async with AsyncVideoEmbedder(EmbedderSettings("gpu:8001", views=("rgb", "flow"))) as embedder:
    embedding = await asyncio.wait_for(embedder.embed("video.mp4"), timeout=60)
    async for result in embedder.embed_many(paths):
        ...

A thread embeds what was asked for by a `VideoEmbedder`, in the order in which it was asked for. What waits when it
begins shares batches, and so does what is asked for while some of that is still to be taken; what comes later waits for
them. Whoever is cancelled waits no longer, and his video is not decoded further.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from os import PathLike
from typing import Self

from cocon.client.models.defaults import DEFAULT_URL
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.errors import UsageError
from cocon.core.paths import check_file
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["AsyncVideoEmbedder"]

# Of one iteration: so many that batches are full and cores busy, and few are undone where it is called off.
_MOST_AHEAD = 32

_Result = VideoEmbedding | FailedVideo


class _Asked:
    """A video that somebody waits for."""

    __slots__ = ("_path", "result")

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = os.fspath(path)
        self.result: Future[_Result] = Future()

    def __fspath__(self) -> str:
        return self._path


class AsyncVideoEmbedder:
    """Embeds videos in one or several views. All calls of one event loop may share it.

    Args:
        settings: Of the embedder, or where the models are, see `EmbedderSettings`. Nothing is connected before
            `async with`.
    """

    def __init__(self, settings: EmbedderSettings | str = DEFAULT_URL) -> None:
        self._settings = EmbedderSettings(settings) if isinstance(settings, str) else settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="async-embedder")
        self._waiting: deque[_Asked] = deque()
        self._taken: deque[_Asked] = deque()
        self._embedder: VideoEmbedder | None = None
        self._is_closed = False
        self._closing = threading.Lock()

    async def __aenter__(self) -> Self:
        """Connect; raises like `VideoEmbedder`."""
        loop = asyncio.get_running_loop()
        opening = self._thread.submit(self._open)
        try:
            await asyncio.wrap_future(opening, loop=loop)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    @property
    def model(self) -> FusedModel:
        """The encoders, asked as one."""
        return self._opened().model

    async def embed(self, path: str | PathLike[str]) -> VideoEmbedding:
        """Embed all clips of a video; raises like `VideoEmbedder.embed`.

        Raises:
            asyncio.CancelledError: The task was cancelled, or the embedder closed.
        """
        check_file(path, "video")
        result = await self._ask(path)
        if isinstance(result, FailedVideo):
            raise result.error
        return result

    async def embed_many(
        self, paths: Iterable[str | PathLike[str]] | AsyncIterable[str | PathLike[str]]
    ) -> AsyncGenerator[_Result, None]:
        """Embed videos; some are worked on ahead, and called off where no more results are asked for.

        Args:
            paths: Read lazily, some ahead.

        Yields:
            One result per path, in order; a bad video does not stop the others.

        Raises:
            ServerError: The server does not answer.
            MismatchError: As `embed`.
        """
        asked: deque[asyncio.Future[_Result]] = deque()
        named, coming, is_over = _iterated(paths), None, False
        try:
            while asked or not is_over:
                if coming is None and not is_over and len(asked) < _MOST_AHEAD:
                    coming = asyncio.create_task(_next(named))
                # Who names the next path may wait for the first result.
                awaited = {future for future in (coming, *islice(asked, 1)) if future is not None}
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if coming is not None and coming.done():
                    path, coming = coming.result(), None
                    is_over = path is None
                    asked += [] if path is None else [self._ask(path)]
                while asked and asked[0].done():
                    yield await asked.popleft()
        finally:
            for future in asked:
                future.cancel()
            if coming is not None:
                coming.cancel()
                await asyncio.wait({coming})

    async def aclose(self) -> None:
        """Close the connections and stop the decoders; whoever waits is cancelled."""
        with self._closing:
            self._is_closed = True
        for asked in [*self._waiting, *self._taken]:
            asked.result.cancel()
        await asyncio.to_thread(self._close)

    def _ask(self, path: str | PathLike[str]) -> "asyncio.Future[_Result]":
        self._opened()
        asked = _Asked(path)
        self._waiting.append(asked)
        self._thread.submit(self._work)
        return asyncio.wrap_future(asked.result)

    def _opened(self) -> VideoEmbedder:
        if self._embedder is None or self._is_closed:
            raise UsageError("the embedder is not open; use it within 'async with AsyncVideoEmbedder(...) as embedder'")
        return self._embedder

    def _open(self) -> None:
        embedder = self._settings.open()
        with self._closing:
            if not self._is_closed:
                self._embedder = embedder
                return
        embedder.close()  # nobody waits for it any more

    def _close(self) -> None:
        if self._embedder is not None:
            self._embedder.close()  # who waits for a server waits no longer
        # Where it is still being opened, its thread closes it.
        self._thread.shutdown(wait=self._embedder is not None)

    def _work(self) -> None:
        """Embed all that waits; called in the thread."""
        if self._is_closed or self._embedder is None:
            return
        try:
            for result in self._embedder.embed_many(self._wanted(), is_wanted=_is_wanted):
                asked = self._taken.popleft()
                if asked.result.set_running_or_notify_cancel():
                    asked.result.set_result(result)
        except Exception as error:  # it belongs to whoever waits
            while self._taken:
                asked = self._taken.popleft()
                if asked.result.set_running_or_notify_cancel():
                    asked.result.set_exception(error)

    def _wanted(self) -> Iterator[_Asked]:
        """What waits, until nothing does."""
        while self._waiting:
            asked = self._waiting.popleft()
            if _is_wanted(asked):
                self._taken.append(asked)
                yield asked


def _is_wanted(path: str | PathLike[str]) -> bool:
    return not (isinstance(path, _Asked) and path.result.cancelled())


async def _next(paths: AsyncGenerator[str | PathLike[str], None]) -> str | PathLike[str] | None:
    """The next path; None where there is none."""
    return await anext(paths, None)


async def _iterated(
    paths: Iterable[str | PathLike[str]] | AsyncIterable[str | PathLike[str]],
) -> AsyncGenerator[str | PathLike[str], None]:
    if isinstance(paths, AsyncIterable):
        async for path in paths:
            yield path
    else:
        for path in paths:
            yield path
            await asyncio.sleep(0)  # others of the loop have their turn
