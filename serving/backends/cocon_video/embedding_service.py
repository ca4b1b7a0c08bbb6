"""One video after the other, from its bytes to the vectors of its clips, whatever it does to its decoder.

    with EmbeddingService(host, limits, deadline_s=600) as service:
        answer = service.embed(content, Asked(views=("rgb",)))

Decoding goes on in a process of its own, as for any file (`video/workers`), while the encoders compute.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.closing import Closing
from cocon.core.errors import CoconError, TimedOutError, VideoError
from cocon.core.printable import printable
from cocon.embedding.embedder import Outputs
from cocon.embedding.videos.batches import Batches, Gathering
from cocon.embedding.videos.fused_model import EncoderHost, FusedModel, open_fused
from cocon.embedding.videos.video_embedding import VideoEmbedding
from cocon.serving.backends.cocon_video.asked import Asked
from cocon.serving.backends.cocon_video.kept_file import FileKeeper
from cocon.video.blocks import overlap_hop
from cocon.video.decoding.limits import MediaLimits
from cocon.video.reading.reader import VideoSource
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.workers.pool import WorkerPool

__all__ = ["CancelledRequestError", "EmbeddedVideo", "EmbeddingService"]

_DEFAULT_VIEW = "rgb"
# One batch is made and handed over while the other is computed.
_NUM_LANES = 2
_LOOK_S = 0.25
# What can be done about a limit, at the client and here.
_REMEDY, _REMEDY_HERE = "raise it with --limit", "who serves it raises it with cocon export --video-limit"
# Triton gives up a worker that does not get to run for a second; decoders, of which there is always more to do, give
# way to it, and to the encoders.
_NICENESS = 5


class CancelledRequestError(CoconError):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class EmbeddedVideo:
    """What is said of one video.

    Attributes:
        embedding: Of its clips, fused.
        views: View → what its encoder says of the clips.
        notes: What a user should know, in sentences.
        labels: Class names, in the order of the probabilities.
    """

    embedding: VideoEmbedding
    views: dict[str, Outputs]
    notes: tuple[str, ...]
    labels: tuple[str, ...]


class EmbeddingService(Closing):
    """Embeds the videos of requests. A context manager; not safe for several threads.

    Args:
        host: Has the encoders; asked from several threads.
        limits: How much of a video is read before it is refused.
        deadline_s: How long one video may take in all.
    """

    def __init__(self, host: EncoderHost, limits: MediaLimits, *, deadline_s: float) -> None:
        self._host, self._limits, self._deadline_s = host, limits, deadline_s
        self._models: dict[tuple[tuple[str, ...], bool], FusedModel] = {}
        self._files = FileKeeper()
        self._workers = WorkerPool(limits, niceness=_NICENESS)
        self._workers.prepare()

    def embed(
        self,
        content: NDArray[np.uint8],
        asked: Asked,
        *,
        has_probabilities: bool = True,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> EmbeddedVideo:
        """Embed all clips of a video.

        Args:
            content: Bytes of its file, `uint8 [num_bytes]`.
            asked: What else the request says.
            has_probabilities: Whether those of classes are wanted.
            is_cancelled: Asked now and then, from another thread.

        Raises:
            VideoError: It cannot be decoded, has none of the views, or takes too long.
            UsageError: There is no such view.
            ServerError: An encoder does not answer.
            MismatchError: An encoder gives unsound vectors.
            CancelledRequestError: The request was cancelled.
        """
        model = self._model(asked.views, has_probabilities)
        with _told(asked.name):
            self._limits.check(printable(asked.name), "max_bytes", content.nbytes, "bytes")
        with self._files.kept(content, asked.suffix) as path, _told(asked.name, path):
            source = VideoSource(
                path,
                model.clip,
                model.requests,
                overlap_hop(model.clip, asked.overlap),
                model.shares_blocks,
                content_sha256=hashlib.sha256(content.data).hexdigest(),
                limits=self._limits,
                kept_as=(path.parent, path.name),
                is_strict=asked.is_strict,
            )
            with _Watch(self._workers.close, is_cancelled, self._deadline_s):
                gathered = self._gathered(source, model)
            return _answer(asked.name, gathered, source, model)

    def close(self) -> None:
        """End the decoder, and remove its files."""
        self._workers.close()
        self._files.close()

    def _gathered(self, source: VideoSource, model: FusedModel) -> Gathering[VideoSource]:
        video = Gathering(source)
        with Batches[VideoSource]([model] * _NUM_LANES) as batches:
            for clip in clips_in_worker(self._workers, source):
                batches.put(video, clip)
            video.is_decoded = True
            batches.finish()
        return video

    def _model(self, views: tuple[str, ...], has_probabilities: bool) -> FusedModel:
        names = views or ((_DEFAULT_VIEW,) if _DEFAULT_VIEW in self._host.views else ("all",))
        key = names, has_probabilities
        if key not in self._models:
            if len(self._models) > 2 ** (len(self._host.views) + 1):  # other orders of the same
                self._models.clear()
            self._models[key] = open_fused(self._host, names, has_probabilities=has_probabilities)
        return self._models[key]


def _answer(name: str, gathered: Gathering[VideoSource], source: VideoSource, model: FusedModel) -> EmbeddedVideo:
    embedding = VideoEmbedding.of(name, gathered, source, model)
    notes = (*embedding.missing.values(), *filter(None, [source.lost]), *source.notes, *source.differences)
    return EmbeddedVideo(embedding, gathered.clips(), notes, model.labels)


@contextmanager
def _told(name: str, path: Path | None = None) -> Iterator[None]:
    """Have errors name the video as its sender does, and not the file that it is in here; and who can raise a limit."""
    try:
        yield
    except VideoError as error:
        shown, reason = printable(name), str(error).replace(_REMEDY, _REMEDY_HERE)
        reason = reason if path is None else reason.replace(str(path), shown)
        raise type(error)(reason if shown in reason else f"video '{shown}': {reason}") from error


class _Watch:
    """Ends what goes on in the block when it takes too long, or nobody waits for it any more.

    Args:
        end: Ends it: the block raises something then.
        is_cancelled: Whether nobody waits.
        deadline_s: How long it may take.

    Raises:
        TimedOutError: At the end of the block: it took too long.
        CancelledRequestError: Likewise: nobody waits.
    """

    def __init__(self, end: Callable[[], None], is_cancelled: Callable[[], bool], deadline_s: float) -> None:
        self._end, self._is_cancelled, self._deadline_s = end, is_cancelled, deadline_s
        self._is_over = threading.Event()
        self._reason: CoconError | None = None
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        if self._reason is not None:
            raise self._reason from error

    def _look(self) -> None:
        deadline = time.monotonic() + self._deadline_s
        while not self._is_over.wait(_LOOK_S):
            if self._is_cancelled():
                self._reason = CancelledRequestError("the request was cancelled")
            elif time.monotonic() > deadline:
                self._reason = TimedOutError(f"it took longer than {self._deadline_s:g} s; send it in parts")
            if self._reason is not None:
                self._end()
                return
