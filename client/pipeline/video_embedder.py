"""Videos in, vectors out: decoding, batching over clips of several videos, inference, fusion.

with VideoEmbedder("127.0.0.1:8001", views=("rgb", "flow")) as embedder:
    embedding = embedder.embed("video.mp4")
    embedding.embedding, embedding.start_seconds        # float32 [K, D], float64 [K]
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path

from cocon.client.models.connect import connect
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.defaults import DEFAULT_URL
from cocon.client.pipeline.ahead import produce_ahead
from cocon.client.pipeline.lanes import Lanes
from cocon.client.pipeline.stage_profile import Profile, tell_profile
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding, unreadable
from cocon.core.closing import Closing
from cocon.core.errors import CoconError, MismatchError, ServerError, VideoError
from cocon.core.paths import check_file
from cocon.core.printable import printable
from cocon.embedding.repository import FormatName
from cocon.embedding.videos.batches import Batches, Gathering
from cocon.embedding.videos.fused_model import FusedModel, open_fused
from cocon.video.blocks import check_overlap, overlap_hop
from cocon.video.decoding.limits import MediaLimits
from cocon.video.reading.reader import MultiViewClip, VideoSource
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.store.dataset import content_sha256
from cocon.video.workers.cores import num_cores as cores_here
from cocon.video.workers.pool import WorkerPool

__all__ = ["FailedVideo", "VideoEmbedder", "VideoEmbedding"]

_logger = logging.getLogger(__name__)

# One process per core makes views as fast as the machine can; more of them than this feed no encoder.
_MAX_DECODERS = 16
# Clips of one video that wait for inference: up to some 6 MB each.
_MAX_WAITING = 4


@dataclass(slots=True)
class _Source:
    """One video on its way through the pipeline; filled in by the decoding thread, read when that is done."""

    video: str
    clips: VideoSource
    is_wanted: Callable[[], bool]


class VideoEmbedder(Closing):
    """Embeds videos in one or several views. Not safe for several threads: make one per thread.

    Args:
        url: `host:port` of a Triton server, `grpcs://host:port` by TLS, several with commas between, which share the
            work, or `local:FOLDER` for a model repository in this process.
        views: Names of views, fused when there are several; `("all",)` for every view that has an encoder.
        overlap: Share of a clip that the next one repeats, from 0 to 0.9.
        timeout_s: Deadline of every request to a server.
        deadline_s: Of a request and its repetitions while a server is away or has no room; `timeout_s` by default.
        awaits_start: Whether a server that has never answered is waited for as long.
        model_format: Which export of a view to use: `onnx` or `torchscript`.
        limits: How much of a video is read before it is refused, and how long a decoder may hang.
        is_strict: Refuse damaged videos, and views that others make than those that the models learned from, in
            place of a warning.
        num_cores: Cores to use for decoding, and for models in this process; all by default.
        has_probabilities: Whether those of classes are wanted; without them, blocks that clips share are computed once
            also where a classifier must see whole clips.
        shares_memory: Whether clips go through memory that a server on this machine sees too, where it does.
        profile: Where to tell, at the end, how long each stage took: a file for JSON, or empty for a table on standard
            error; nothing is counted by default.
        credentials: By which a server is known, and who asks it.
        follows_versions: Whether another version that a server's operator promotes is asked from the next video on, in
            place of the one that was opened. A video's vectors are of one version in any case.

    Attributes:
        overlap: As it was given.
        hop_frames: Grid frames from the start of a clip to that of the next, in place of what follows of `overlap`.

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
        deadline_s: float | None = None,
        awaits_start: bool = False,
        model_format: FormatName = "onnx",
        limits: MediaLimits | None = None,
        is_strict: bool = False,
        num_cores: int | None = None,
        has_probabilities: bool = True,
        shares_memory: bool = True,
        profile: str | None = None,
        credentials: Credentials = NO_CREDENTIALS,
        follows_versions: bool = False,
    ) -> None:
        check_overlap(overlap)
        self.overlap = overlap
        self.hop_frames: int | None = None
        self.limits = limits or MediaLimits()
        self.is_strict = is_strict
        self._num_cores = num_cores or cores_here()
        self._profile = Profile(self._num_cores) if profile is not None else None
        self._told: set[str] = set()
        self._indexed_by: Mapping[str, tuple[str, ...]] = {}
        with ExitStack() as connections:
            self._workers = connections.enter_context(WorkerPool(self.limits))
            self._workers.prepare()
            connected = partial(
                connect,
                url,
                timeout_s=timeout_s,
                deadline_s=deadline_s,
                awaits_start=awaits_start,
                model_format=model_format,
                num_threads=1,
                shares_memory=shares_memory,
                credentials=credentials,
            )
            host = connected()
            hosts = [host] + [connected(lane=lane) for lane in range(1, host.num_lanes)]
            for host in hosts:
                connections.callback(host.close)
            opened = partial(open_fused, views=views, has_probabilities=has_probabilities)
            self._lanes = Lanes(hosts, opened, follows_versions=follows_versions)
            self._num_calls = min(host.num_calls, self._num_cores)
            if self._profile is not None:
                self._profile.opened(is_waited=not host.computes_in_threads, served=self._lanes.served)
                connections.callback(self._tell_profile, profile)
            self._connections = connections.pop_all()

    @property
    def model(self) -> FusedModel:
        """The encoders, asked as one."""
        return self._lanes.first

    def embed(self, path: str | PathLike[str]) -> VideoEmbedding:
        """Embed all clips of a video.

        Raises:
            VideoError: It cannot be decoded, or has none of the views.
            UsageError: The file does not exist.
            ServerError: The server does not answer.
            MismatchError: The model refuses the clips or gives unsound vectors, or others make its views than those
                that it learned from, and that is to be refused.
        """
        check_file(path, "video")
        (result,) = self.embed_many([path])
        if isinstance(result, FailedVideo):
            raise result.error
        return result

    def embed_many(
        self,
        paths: Iterable[str | PathLike[str]],
        *,
        is_wanted: Callable[[str | PathLike[str]], bool] = lambda path: True,
    ) -> Iterator[VideoEmbedding | FailedVideo]:
        """Embed videos; the next ones are decoded while the current one is embedded.

        Args:
            paths: Read lazily, a few ahead.
            is_wanted: Whether a video, as `paths` gave it, is still wanted; asked in other threads at each of its
                clips. One that is not is a failed video.

        Yields:
            One result per path, in order; a bad video does not stop the others.

        Raises:
            ServerError: The server does not answer.
            MismatchError: As `embed`.
        """
        sources = (self._source(path, partial(is_wanted, path)) for path in paths)
        videos: deque[Gathering[_Source]] = deque()
        ahead = produce_ahead(
            sources,
            self._clips,
            num_threads=min(_MAX_DECODERS, self._num_cores),
            max_waiting=_MAX_WAITING,
            on_stop=self._workers.close,
        )
        with closing(ahead), ExitStack() as asked:
            batches = asked.enter_context(self._batches())
            for decoded in ahead:
                if self._lanes.have_moved():
                    yield from self._finished(batches, videos)
                    asked.close()
                    self._lanes.follow()
                    batches = asked.enter_context(self._batches())
                videos.append(video := Gathering(decoded.source))
                try:
                    for clip in decoded:
                        batches.put(video, clip)
                    video.is_decoded = True
                except (VideoError, OSError) as error:
                    video.error = error
                while videos and videos[0].is_finished:
                    yield self._result(videos.popleft())
            yield from self._finished(batches, videos)

    def tell_of_other_views(self) -> None:
        """Warn where views are served that are not used; where a server does not say that now, nothing is said."""
        others: list[str] = []
        with suppress(CoconError):
            others = self._lanes.unused_views
        if others:
            _logger.warning(
                "view %s alone is used, though %s can be had: --view all fuses them, --view %s is without this line",
                self.model.view, ", ".join(others), self.model.view,
            )  # fmt: skip

    def refer_to(self, made_by: Mapping[str, tuple[str, ...]]) -> None:
        """Compare with an index where a model does not say what it learned from: view → who made the index's."""
        self._indexed_by = made_by

    def close(self) -> None:
        """Close the connections and stop the decoders."""
        self._connections.close()

    def __exit__(self, *exception: object) -> None:
        if exception[:1] == (KeyboardInterrupt,):
            self._profile = None  # who interrupts does not wait for what a server has to say of it
        self.close()

    def _finished(
        self, batches: Batches[_Source], videos: deque[Gathering[_Source]]
    ) -> Iterator[VideoEmbedding | FailedVideo]:
        """The rest of the videos that were decoded, which are gone then."""
        batches.finish()
        self._lanes.confirm()
        while videos:
            yield self._result(videos.popleft())

    def _batches(self) -> Batches[_Source]:
        # A processor is as fast with a row as with many, and so the cores share also the clips of a short video.
        max_rows = 1 if self._num_calls > 1 else None
        asking = nullcontext if self._profile is None else self._profile.asking
        return Batches(self._lanes.models * self._num_calls, max_rows=max_rows, asking=asking)

    def _source(self, path: str | PathLike[str], is_wanted: Callable[[], bool]) -> _Source:
        spec, shares_blocks = self.model.clip, self.model.shares_blocks
        hop = self.hop_frames or overlap_hop(spec, self.overlap)
        requests = {
            view: replace(request, made_by=self._indexed_by[view], reference="those of the index are by")
            if view in self._indexed_by and not request.made_by
            else request
            for view, request in self.model.requests.items()
        }
        clips = VideoSource(
            Path(path), spec, requests, hop, shares_blocks, limits=self.limits, is_strict=self.is_strict
        )
        return _Source(os.fspath(path), clips, is_wanted)

    def _clips(self, source: _Source) -> Iterator[MultiViewClip]:
        """The clips of a video; called in a thread, which waits for a worker process."""
        clips = source.clips
        if error := unreadable(source.video):
            raise error
        clips.limits.check(clips.path, "max_bytes", clips.path.stat().st_size, "bytes")
        with self._measured("decode"):
            clips.content_sha256 = content_sha256(clips.path)
        with self._measured("pack"):
            for clip in clips_in_worker(self._workers, clips):
                if not source.is_wanted():
                    raise VideoError(f"video '{printable(source.video)}' is not wanted any more")
                yield clip
        if self._profile is not None:
            self._profile.told(clips.stage_seconds)

    def _measured(self, stage: str) -> AbstractContextManager[None]:
        return nullcontext() if self._profile is None else self._profile.here(stage)

    def _tell_profile(self, output: str | None) -> None:
        if self._profile is None:
            return
        try:
            tell_profile(self._profile.conclude(), Path(output) if output else None)
        except (ServerError, MismatchError) as error:  # such as that a model is gone
            _logger.warning("where the time went is not known: %s", error)

    def _tell(self, differences: Sequence[str]) -> None:
        """Warn of views that others make than those that the models learned from; once of each."""
        if new := [sentence for sentence in differences if sentence not in self._told]:
            self._told.update(new)
            _logger.warning(
                "%s: vectors can differ from those of others with the same fingerprint; --strict refuses them",
                "; ".join(new),
            )

    def _result(self, video: Gathering[_Source]) -> VideoEmbedding | FailedVideo:
        with self._measured("fuse"):
            return self._fused(video)

    def _fused(self, video: Gathering[_Source]) -> VideoEmbedding | FailedVideo:
        source = video.source
        if video.error is not None:
            return FailedVideo(source.video, video.error)
        self._tell(source.clips.differences)
        embedding = VideoEmbedding.of(source.video, video, source.clips, self.model)
        if embedding.missing:
            reasons = "; ".join(embedding.missing.values())
            _logger.warning("%s: embedded as %s alone: %s", source.video, embedding.view, reasons)
        for note in [*filter(None, [source.clips.lost]), *source.clips.notes]:
            _logger.warning("%s: %s", source.video, note)
        return embedding
