"""What a server has at hand for its answers, and how much of it may be busy at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from cocon.client.index.folder import VideoIndex
from cocon.client.web.stored_files import StoredFiles
from cocon.client.web.warm_embedder import WarmEmbedder
from cocon.core.closing import Closing
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.pool import WorkerPool, num_cores

__all__ = ["Lane", "WebServices"]

Made = TypeVar("Made")

_MOST_QUESTIONS = 4


class Lane:
    """Work of one kind, which waits for its turn without holding up work of another kind.

    Args:
        most: That is done at a time.
    """

    def __init__(self, most: int) -> None:
        self._turns = asyncio.Semaphore(most)

    async def run(self, request: Request, work: Callable[[], Made]) -> Made:
        """Do something in a thread, unless who asked has gone while it waited.

        Raises:
            ClientDisconnect: He has.
        """
        async with self._turns:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await run_in_threadpool(work)


@dataclass(slots=True)
class WebServices(Closing):
    """What answers need.

    Attributes:
        index: That is shown.
        embedder: For what is not stored.
        folder: Private, for what is uploaded and made.
        limits: Of videos that are decoded for pictures.
    """

    index: VideoIndex
    embedder: WarmEmbedder
    folder: Path
    limits: MediaLimits
    files: StoredFiles = field(init=False)
    pool: WorkerPool = field(init=False)
    questions: Lane = field(init=False)
    pictures: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.files = StoredFiles(self.index)
        self.pool = WorkerPool(self.limits)
        self.questions = Lane(_MOST_QUESTIONS)
        self.pictures = Lane(num_cores())

    def close(self) -> None:
        """End all processes and connections."""
        self.embedder.close()
        self.pool.close()
