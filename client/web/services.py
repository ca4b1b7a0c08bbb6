"""What a server has at hand for its answers, and how much of it may be busy at a time."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeVar

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from cocon.client.classify import classify_by_index
from cocon.client.index.folder import VideoIndex
from cocon.client.index.query.queries import Query
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.first_frame import first_frame_job
from cocon.client.web.map_maker import MapMaker
from cocon.client.web.previews import MediaSource, Previews
from cocon.client.web.problems import RefusedError
from cocon.client.web.stored_files import StoredFiles
from cocon.client.web.uploads import Upload, Uploads
from cocon.client.web.warm_embedder import WarmEmbedder
from cocon.core.closing import Closing
from cocon.core.errors import CoconError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.cache import PreviewCache
from cocon.video.pictures.encode import write_mp4
from cocon.video.workers.cores import num_cores
from cocon.video.workers.pool import WorkerPool

__all__ = ["Lane", "WebServices"]

Made = TypeVar("Made")

_MOST_QUESTIONS = 4
_CACHE_BYTES = 512 << 20
_WARM_UP_FRAMES, _WARM_UP_STEP_S, _WARM_UP_SHAPE = 12, 0.1, (96, 128, 3)


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
        index_name: Of it, as on a command line.
        settings: Of the embedder for what is uploaded; its limits are those of uploads.
        folder: Private, for what is uploaded and made.
        limits: Of indexed videos that are decoded for pictures.
        files: The indexed ones.
        pool: Decodes for pictures.
        cache: Of what is made to be shown.
        previews: That.
        embedder: For what is not stored.
        uploads: What was uploaded.
        map_maker: Lays out the index.
        questions: Lane of what the index answers.
        changes: Lane of what changes it, or looks at all of it.
        stills: Lane of pictures.
        films: Lane of what takes longest.
    """

    index: VideoIndex
    index_name: str
    settings: EmbedderSettings
    folder: Path
    limits: MediaLimits
    files: StoredFiles = field(init=False)
    pool: WorkerPool = field(init=False)
    cache: PreviewCache = field(init=False)
    previews: Previews = field(init=False)
    embedder: WarmEmbedder = field(init=False)
    uploads: Uploads = field(init=False)
    map_maker: MapMaker = field(init=False)
    questions: Lane = field(init=False)
    changes: Lane = field(init=False)
    stills: Lane = field(init=False)
    films: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.files = StoredFiles(self.index)
        self.pool = WorkerPool(self.limits)
        self.cache = PreviewCache(self.folder / "previews", _CACHE_BYTES)
        self.previews = Previews(self.pool, self.limits, self.cache)
        self.embedder = WarmEmbedder(self.index, self.settings, self.folder / "warm-up.mp4")
        self.uploads = Uploads(self.folder, self.embedder, self.pool, self.settings.limits)
        self.map_maker = MapMaker(self.index, self.index_name)
        self.questions, self.changes = Lane(_MOST_QUESTIONS), Lane(1)
        self.stills, self.films = Lane(num_cores()), Lane(1)

    def warm_up(self) -> None:
        """Begin to do once what would make the first answers slow; whoever asks hears of what fails."""
        video = self.folder / "warm-up.mp4"
        grey = np.full(_WARM_UP_SHAPE, 128, np.uint8)
        with suppress(OSError):
            write_mp4(video, ((_WARM_UP_STEP_S * number, grey) for number in range(_WARM_UP_FRAMES)))
        self.embedder.start()
        works: list[Callable[[], None]] = [self._warm_up_index, *[partial(self._warm_up_decoder, video)] * num_cores()]
        for work in works:
            Thread(target=work, name="warm-up", daemon=True).start()

    def close(self) -> None:
        """End all processes and connections."""
        self.embedder.close()
        self.pool.close()
        self.map_maker.close()

    def _warm_up_index(self) -> None:
        with suppress(CoconError, OSError):
            for video in self.index.videos(top=1):
                example = self.index.example(video.video_id)
                self.index.search(Query.of(example))
                classify_by_index(self.index, example)

    def _warm_up_decoder(self, video: Path) -> None:
        with suppress(CoconError, OSError):
            list(self.pool.run(first_frame_job, video, self.limits))
            source = MediaSource("", video.name, lambda: nullcontext(video))
            self.previews.plays(source)
            self.previews.still(source, 0.0, _WARM_UP_SHAPE[1])

    def stored(self, video_id: int) -> MediaSource:
        """An indexed video to be shown; raises `RefusedError` if there is none."""
        sha256 = self.files.known(video_id)[0].content_sha256
        return MediaSource(f"/media/videos/{video_id}", sha256, partial(self.files.held, video_id))

    def uploaded(self, upload: Upload) -> MediaSource:
        """An uploaded one."""
        return MediaSource(f"/media/uploads/{upload.upload_id}", upload.upload_id, lambda: nullcontext(upload.path))

    def links(self, source: MediaSource, begin: float, end: float) -> Row:
        """See `Previews.row`; a file that is gone, or another, has addresses that say so."""
        try:
            return self.previews.row(source, begin, end)
        except (RefusedError, OSError):
            still = f"{source.address}/still"
            return {"media": source.address, "media_begins_seconds": 0.0, "still": still, "plays": False}
