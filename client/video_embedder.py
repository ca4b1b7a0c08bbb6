"""Videos in, vectors out: decoding, batching over clips of several videos, inference, fusion.

with VideoEmbedder("127.0.0.1:8001", views=("rgb", "flow")) as embedder:
    embedding = embedder.embed("video.mp4")
    embedding.embedding, embedding.start_seconds        # float32 [K, D], float64 [K]
"""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

from cocon.client.connection import ModelFormat, connect
from cocon.client.defaults import DEFAULT_URL
from cocon.client.fused_model import ClipVectors, FusedModel, open_fused
from cocon.client.pipeline import produce_ahead
from cocon.client.video_embedding import FailedVideo, VideoEmbedding
from cocon.video.errors import UnreadableVideoError, UsageError, VideoError
from cocon.video.reader import MultiViewClip, VideoSource

__all__ = ["FailedVideo", "VideoEmbedder", "VideoEmbedding", "content_sha256"]

_logger = logging.getLogger(__name__)

_MAX_OVERLAP = 0.9
# Decoders share the cores with inference when it runs on this machine; beyond four, disks are the limit.
_MAX_DECODERS = 4


@dataclass(slots=True)
class _Source:
    """One video on its way through the pipeline; filled in by the decoding thread, read when that is done."""

    video: str
    clips: VideoSource
    content_sha256: str = ""


@dataclass(slots=True)
class _Gathering:
    """What is known of one video so far."""

    source: _Source
    start_seconds: list[float] = field(default_factory=list)
    end_seconds: list[float] = field(default_factory=list)
    vectors: list[dict[str, ClipVectors]] = field(default_factory=list)
    num_waiting: int = 0
    is_decoded: bool = False
    error: Exception | None = None

    @property
    def is_finished(self) -> bool:
        return self.error is not None or (self.is_decoded and self.num_waiting == 0)


class VideoEmbedder:
    """Embeds videos in one or several views. Not safe for several threads: make one per thread.

    Args:
        url: `host:port` of a Triton server, or `local:FOLDER` for a model repository in this process.
        views: Names of views, fused when there are several; `("all",)` for every view that has an encoder.
        overlap: Share of a clip that the next one repeats, from 0 to 0.9.
        timeout_s: Deadline of every request to a server.
        model_format: Which export of a view to use: `onnx` or `torchscript`.

    Raises:
        UsageError: An argument is out of range, or a view or its model does not exist.
        ServerError: The server does not answer.
        MismatchError: A model's contract is damaged, or the views do not see the same clips.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        views: Sequence[str] = ("rgb",),
        overlap: float = 0.0,
        timeout_s: float = 30.0,
        model_format: ModelFormat = "onnx",
    ) -> None:
        if not 0 <= overlap <= _MAX_OVERLAP:
            raise UsageError(f"overlap ({overlap}) must be from 0 to {_MAX_OVERLAP}")
        self.overlap = overlap
        self._host = connect(url, timeout_s=timeout_s, model_format=model_format)
        try:
            self._model = open_fused(self._host, views)
        except BaseException:
            self._host.close()
            raise

    @property
    def model(self) -> FusedModel:
        """The encoders, asked as one."""
        return self._model

    def embed(self, path: str | PathLike[str]) -> VideoEmbedding:
        """Embed all clips of a video.

        Raises:
            VideoError: It cannot be decoded, or has none of the views.
            UsageError: The file does not exist.
            ServerError: The server does not answer.
            MismatchError: The model refuses the clips or gives unsound vectors.
        """
        if not Path(path).is_file():
            raise UsageError(f"video '{os.fspath(path)}' does not exist or is no file")
        (result,) = self.embed_many([path])
        if isinstance(result, FailedVideo):
            raise result.error
        return result

    def embed_many(self, paths: Iterable[str | PathLike[str]]) -> Iterator[VideoEmbedding | FailedVideo]:
        """Embed videos; the next ones are decoded while the current one is embedded.

        Args:
            paths: Read lazily, a few ahead.

        Yields:
            One result per path, in order; a bad video does not stop the others.

        Raises:
            ServerError: The server does not answer.
            MismatchError: The model refuses the clips or gives unsound vectors.
        """
        num_threads = min(_MAX_DECODERS, os.cpu_count() or 1)
        sources = (self._source(path) for path in paths)
        videos: deque[_Gathering] = deque()
        batch: list[tuple[_Gathering, MultiViewClip]] = []
        ahead = produce_ahead(sources, _decode, num_threads=num_threads, max_waiting=self._model.max_batch_size)
        with closing(ahead):
            for decoded in ahead:
                videos.append(_Gathering(decoded.source))
                try:
                    for clip in decoded:
                        videos[-1].num_waiting += 1
                        batch.append((videos[-1], clip))
                        if len(batch) == self._model.max_batch_size:
                            self._embed_batch(batch)
                    videos[-1].is_decoded = True
                except (VideoError, OSError) as error:
                    videos[-1].error = error
                while videos and videos[0].is_finished:
                    yield self._result(videos.popleft())
            self._embed_batch(batch)
            yield from map(self._result, videos)

    def close(self) -> None:
        """Close the connection."""
        self._host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _source(self, path: str | PathLike[str]) -> _Source:
        spec = self._model.clip
        hop = max(1, round(spec.num_frames * (1 - self.overlap)))
        return _Source(os.fspath(path), VideoSource(Path(path), spec, self._model.requests, hop=hop))

    def _embed_batch(self, batch: list[tuple[_Gathering, MultiViewClip]]) -> None:
        """Embed the waiting clips and empty the batch."""
        # Clips of a video that turned out to be bad are not worth a request.
        wanted = [(video, clip) for video, clip in batch if video.error is None]
        batch.clear()
        if not wanted:
            return
        for (video, clip), vectors in zip(wanted, self._model.embed([clip for _, clip in wanted]), strict=True):
            video.start_seconds.append(clip.start_seconds)
            video.end_seconds.append(clip.end_seconds)
            video.vectors.append(vectors)
            video.num_waiting -= 1

    def _result(self, video: _Gathering) -> VideoEmbedding | FailedVideo:
        source = video.source
        if video.error is not None:
            return FailedVideo(source.video, video.error)
        missing = dict(source.clips.missing)
        model = self._model.restricted(video.vectors[0]) if missing else self._model
        if missing:
            _logger.warning("%s: embedded as %s alone: %s", source.video, model.view, "; ".join(missing.values()))
        embedding, probabilities = model.fuse(video.vectors)
        return VideoEmbedding(
            video=source.video,
            content_sha256=source.content_sha256,
            view=model.view,
            start_seconds=np.array(video.start_seconds),
            end_seconds=np.array(video.end_seconds),
            embedding=embedding,
            probabilities=probabilities,
            num_frames=source.clips.num_frames,
            truncated=False,
            model=model.name,
            version=model.version,
            fingerprint=model.fingerprint,
            missing=missing,
        )


def content_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _decode(source: _Source) -> Iterator[MultiViewClip]:
    """The clips of a video; called in a decoding thread."""
    if not source.clips.path.is_file():
        raise UnreadableVideoError(f"video '{source.video}' does not exist or is no file")
    source.content_sha256 = content_sha256(source.clips.path)
    clip = None
    for clip in source.clips.clips():
        yield clip
    if clip is None:
        raise UnreadableVideoError(f"video '{source.video}' gives no clip")
