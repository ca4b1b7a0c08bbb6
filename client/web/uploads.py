"""Videos that the person drops on the page: taken in within bounds, kept for a while, decoded as any stranger's."""

import asyncio
import re
import secrets
import shutil
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.client.web.first_frame import first_frame_job
from cocon.client.web.problems import RefusedError
from cocon.client.web.warm_embedder import WarmEmbedder
from cocon.core.errors import TooLargeError, VideoError
from cocon.core.printable import printable
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.pool import WorkerPool, named

__all__ = ["UPLOAD_LIMITS", "Upload", "Uploads"]

UPLOAD_LIMITS = ("max_bytes=536870912", "max_seconds=600")
"""Of what is uploaded, as settings of `MediaLimits`: half a GiB, and ten minutes of video."""

_MOST_KEPT, _MOST_AT_ONCE = 8, 4
_BUFFER_BYTES = 1 << 20
# So many times as long as a stop in it may last, an upload may last in all.
_TIMES_A_STOP = 20
_MAX_NAME = 200
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass(slots=True)
class Upload:
    """A video that was taken in.

    Attributes:
        upload_id: Nobody can guess it.
        name: That the browser gave it, to be shown.
        path: Where it is kept.
        num_bytes: Its size.
        duration_seconds: As far as its header says.
        embedding: Its vectors, when it has been embedded.
    """

    upload_id: str
    name: str
    path: Path
    num_bytes: int
    duration_seconds: float | None
    embedding: "Future[VideoEmbedding]"


class Uploads:
    """What was uploaded; the least recently used goes first. For the thread of the event loop, but for `at`.

    Args:
        folder: Private.
        embedder: Begins with each as soon as it is there.
        pool: Looks at each first.
        limits: Of each; a stop in the stream may last as long as one in a decoder.
    """

    def __init__(self, folder: Path, embedder: WarmEmbedder, pool: WorkerPool, limits: MediaLimits) -> None:
        self._folder, self._embedder, self._pool, self.limits = folder, embedder, pool, limits
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = Lock()
        self._num_coming = 0

    async def receive(self, request: Request) -> Upload:
        """Take in the body of a request.

        Raises:
            RefusedError: It is empty (400), comes too slowly (408), or others are coming in (429).
            VideoError: It is no video, or too large.
            StorageError: The disk takes no more.
        """
        if (declared := request.headers.get("content-length", "")).isdigit():
            self._check_bytes(int(declared))
        if self._num_coming >= _MOST_AT_ONCE:
            raise RefusedError(429, f"{_MOST_AT_ONCE} videos are coming in already; wait until one is there")
        upload_id, name = secrets.token_urlsafe(12), _shown_name(request)
        path = self._folder / upload_id / f"video{_ending(name)}"
        self._num_coming += 1
        try:
            await self._write(request, path)
            return await run_in_threadpool(self._take, upload_id, name, path)
        except BaseException:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise
        finally:
            self._num_coming -= 1

    def at(self, upload_id: str) -> Upload:
        """One that is kept; raises `RefusedError` (404) if it is not, or not any more."""
        with self._lock:
            if (found := self._kept.get(upload_id)) is None:
                raise RefusedError(404, f"the upload '{printable(upload_id[:40])}' is not kept; upload the video again")
            self._kept.move_to_end(upload_id)
            return found

    async def embedding(self, upload_id: str) -> VideoEmbedding:
        """Its vectors, as soon as they are known; what the server was to blame for is tried again.

        Raises:
            RefusedError: As `at`.
            CoconError: As `VideoEmbedder.embed` and its opening do.
        """
        upload = self.at(upload_id)
        if upload.embedding.done() and not isinstance(upload.embedding.exception(), VideoError | None):
            upload.embedding = self._embedder.embed(upload.path)
        # Others may wait for it too: who goes away ends nothing.
        return await asyncio.shield(asyncio.wrap_future(upload.embedding))

    async def _write(self, request: Request, path: Path) -> None:
        path.parent.mkdir(mode=0o700)
        stop_s, num_bytes, buffer = self.limits.frame_timeout_s, 0, bytearray()
        chunks = request.stream()
        try:
            async with asyncio.timeout(_TIMES_A_STOP * stop_s):
                with path.open("wb") as stream:
                    while chunk := await asyncio.wait_for(anext(chunks, b""), stop_s):
                        num_bytes += len(chunk)
                        self._check_bytes(num_bytes)
                        buffer += chunk
                        if len(buffer) >= _BUFFER_BYTES:
                            await run_in_threadpool(stream.write, bytes(buffer))
                            buffer.clear()
                    await run_in_threadpool(stream.write, bytes(buffer))
        except TimeoutError as error:
            raise RefusedError(
                408, f"the video comes too slowly, with stops above {stop_s:g} s; upload it again"
            ) from error
        if not num_bytes:
            raise RefusedError(400, "the upload is empty; send a video")

    def _take(self, upload_id: str, name: str, path: Path) -> Upload:
        messages = named(self._pool.run(first_frame_job, path, self.limits), path)
        try:
            (message,) = messages
        except VideoError as error:
            raise _as_uploaded(error, path, name) from error
        upload = Upload(
            upload_id,
            name,
            path,
            path.stat().st_size,
            message.fields["duration_seconds"],
            self._embedder.embed(path),
        )
        with self._lock:
            self._kept[upload_id] = upload
            while len(self._kept) > 1 and self._are_too_many():
                _, oldest = self._kept.popitem(last=False)
                oldest.embedding.cancel()
                shutil.rmtree(oldest.path.parent, ignore_errors=True)
        return upload

    def _are_too_many(self) -> bool:
        total = sum(upload.num_bytes for upload in self._kept.values())
        return len(self._kept) > _MOST_KEPT or total > 2 * self.limits.max_bytes

    def _check_bytes(self, num_bytes: int) -> None:
        if num_bytes > self.limits.max_bytes:
            raise TooLargeError(
                f"the upload has {num_bytes:,} bytes, the limit max_bytes is {self.limits.max_bytes:,}; upload a part "
                "of it, or start with --limit max_bytes=NUMBER"
            )


def _as_uploaded(error: VideoError, path: Path, name: str) -> VideoError:
    """The same by the name that the person knows."""
    return type(error)(str(error).replace(printable(path), name))


def _shown_name(request: Request) -> str:
    given = unquote(request.headers.get("x-file-name", ""), errors="replace").replace("\\", "/").rpartition("/")[2]
    return printable(given.strip()[:_MAX_NAME]) or "video"


def _ending(name: str) -> str:
    """By which some formats are known; whatever else a name holds stays outside."""
    ending = Path(name).suffix
    return ending if _ENDING.fullmatch(ending) else ""
