"""Embedding a corpus with Ray: the videos as shards, one core a shard, and what is done already is not done again.

settings = RaySettings(EmbedderSettings("local:model_repository"), Path("index.shards"))
index.add(paths, settings)                  # the same as with the settings alone, on all cores
"""

import hashlib
import json
import logging
import math
import os
import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import islice
from os import PathLike
from pathlib import Path

from cocon.client.bulk.ray_session import RaySession
from cocon.client.bulk.shard import RowSizes, Shard, ShardInput
from cocon.client.bulk.shard_folder import ShardFolder, ShardPlace
from cocon.client.bulk.warnings_heard import heard_warnings
from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.pipeline.embedder_settings import AroundSettings, EmbedderSettings
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.closing import Closing
from cocon.core.errors import StorageError, UsageError, WorkerDiedError
from cocon.core.printable import escaped, printable
from cocon.embedding.videos.fused_model import FusedModel
from cocon.video.blocks import overlap_hop

__all__ = ["RayEmbedder", "RaySettings"]

_logger = logging.getLogger(__name__)

_ADDRESS = re.compile(r"auto|(\[[0-9a-f:.]+\]|[\w.-]+):\d+")
# Videos of a shard: what is done again after a kill, and what a worker has before it asks for more.
_MAX_SHARD_VIDEOS = 16
# Shards a worker: so many even out that videos are not equally long.
_SHARDS_PER_WORKER = 4
# Videos that are looked at before the first of them is embedded.
_MAX_WAVE_VIDEOS = 16_384


@dataclass(frozen=True, slots=True)
class RaySettings(AroundSettings):
    """What an embedder is to be like, and where its work is kept. Nothing is started yet.

    Attributes:
        settings: Of each worker.
        folder: For the shards.
        address: Of a cluster, `HOST:PORT`, or `auto` for the one this machine is of; None for one
            of this machine's own.

    Raises:
        UsageError: The address has another form.
    """

    settings: EmbedderSettings
    folder: Path
    address: str | None = None

    def __post_init__(self) -> None:
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise UsageError(
                f"'{printable(self.address)}' is no address of a Ray cluster: HOST:PORT or auto, on a machine of it"
            )

    def open(self) -> "RayEmbedder":
        """Start Ray; raises like `RayEmbedder`."""
        return RayEmbedder(self)


class RayEmbedder(Closing):
    """Embeds many videos with Ray. Not safe for several threads.

    Args:
        settings: Of it.

    Raises:
        UsageError: A view or its model does not exist, or another process is writing the shards.
        ServerError: The server of the models does not answer.
        MismatchError: A model's contract is damaged, or the shards in the folder are of another model.
        ModuleNotFoundError: Ray is not installed.
    """

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings.settings
        self._made_by: Mapping[str, tuple[str, ...]] = {}
        self._used: dict[str, ShardPlace] = {}
        with ExitStack() as held:
            self.model: FusedModel = held.enter_context(self._settings.open()).model
        model, key = self.model, self._key()
        with ExitStack() as held:
            self.shards = held.enter_context(
                ShardFolder(
                    settings.folder,
                    key,
                    fingerprint=model.fingerprint,
                    sizes=RowSizes.of(model),
                )
            )
            self._told = held.enter_context(heard_warnings())
            self._held = held.pop_all()
        self._address = settings.address
        self._session: RaySession | None = None

    def refer_to(self, made_by: Mapping[str, tuple[str, ...]]) -> None:
        """See `VideoEmbedder.refer_to`."""
        self._made_by = made_by

    def embed_many(self, paths: Iterable[str | PathLike[str]]) -> Iterator[VideoEmbedding | FailedVideo]:
        """Embed videos; results of shards that are there are taken from them.

        Args:
            paths: Read some thousands ahead.

        Yields:
            One result per path, in order, without probabilities; a bad video does not stop the others, and one that
            lacks a view is bad.

        Raises:
            ServerError: Ray cannot be started or reached, or gave up; or the server of the models does not answer.
            MismatchError: As `VideoEmbedder.embed_many`; or a worker machine has other models.
            StorageError: The disk takes no more.
        """
        looked_at = (self._looked_at(os.fspath(path)) for path in paths)
        while wave := [*islice(looked_at, _MAX_WAVE_VIDEOS)]:
            yield from self._wave(wave)

    def keep_only_used(self) -> None:
        """Take out of the shards what is outdated of the videos that were embedded."""
        self.shards.keep_only(self._used)

    def close(self) -> None:
        """Stop Ray. The shards stay."""
        self._held.close()

    def _looked_at(self, path: str) -> ShardInput:
        given = ShardInput(path, _lasting_stamp(path))
        if self.shards.find(given) is None:
            self._started()  # while it starts, the others are looked at
        return given

    def _started(self) -> RaySession:
        if self._session is None:
            self._session = self._held.enter_context(RaySession(self._address))
        return self._session

    def _wave(self, inputs: Sequence[ShardInput]) -> Iterator[VideoEmbedding | FailedVideo]:
        places = {position: place for position, given in enumerate(inputs) if (place := self._sound_place(given))}
        missing = [position for position in range(len(inputs)) if position not in places]
        made = self._make([inputs[position] for position in missing]) if missing else iter(())
        for position, given in enumerate(inputs):
            while position not in places:
                first, path, count = next(made)
                places |= {missing[first + each]: ShardPlace(path, each) for each in range(count)}
            self._used[given.video] = place = places.pop(position)
            shard = self._shard(place)
            yield shard.results[place.position]
            self._tell(shard.warnings)  # of what a worker saw, whoever takes the result may have said the same
        for _ in made:  # hear that it has finished
            pass

    def _make(self, inputs: Sequence[ShardInput]) -> Iterator[tuple[int, Path, int]]:
        """Embed videos: the first video of each shard, its file, and how many it is of.

        The videos of a shard that has ended its worker every time are tried again, each by itself; who alone does the
        same has failed.
        """
        size = _shard_size(len(inputs), self._started().num_workers)
        parts = {begin: tuple(inputs[begin : begin + size]) for begin in range(0, len(inputs), size)}
        lost = yield from self._made(parts)
        alone = {begin + each: (given,) for begin in lost for each, given in enumerate(parts[begin])}
        for begin in (yield from self._made(alone)):
            yield begin, self._put_lost(alone[begin]), 1

    def _made(self, parts: Mapping[int, tuple[ShardInput, ...]]) -> Generator[tuple[int, Path, int], None, list[int]]:
        """Shards of these videos, likewise; returns the first videos of those that are lost."""
        if not parts:
            return []
        begins = [*parts]
        paths = [self.shards.path_of(part) for part in parts.values()]
        requests = [
            json.dumps({"number": number, "key": self.shards.key, "videos": [given.as_json for given in part]})
            for number, part in enumerate(parts.values())
        ]
        lost = {*parts}
        for number in self._started().make_shards(self._job(), [*zip(paths, requests, strict=True)]):
            lost.remove(begin := begins[number])
            yield begin, paths[number], len(parts[begin])
        return sorted(lost)

    def _put_lost(self, inputs: tuple[ShardInput, ...]) -> Path:
        """Write the shard of videos that no worker outlives."""
        reason = "its worker died every time; the system ends processes for want of memory"
        failed = [
            FailedVideo(given.video, WorkerDiedError(f"video '{printable(given.video)}' cannot be embedded: {reason}"))
            for given in inputs
        ]
        return self.shards.put(inputs, failed)

    def _sound_place(self, given: ShardInput) -> ShardPlace | None:
        """Where the result of a video is, if its shard can be read."""
        place = self.shards.find(given)
        if place is not None:
            try:
                self.shards.shard(place.shard)
            except (ValueError, OSError) as error:
                _logger.warning("%s; its videos are embedded again", error)
                self.shards.drop(place.shard)
                return None
        return place

    def _shard(self, place: ShardPlace) -> Shard:
        try:
            return self.shards.shard(place.shard)
        except (ValueError, OSError) as error:
            raise StorageError(f"{error}; run the same again") from error

    def _tell(self, warnings: Iterable[str]) -> None:
        for sentence in warnings:
            if sentence not in self._told:  # logged, it is
                _logger.warning("%s", sentence)

    def _job(self) -> str:
        settings = asdict(replace(self._settings, num_cores=1, has_probabilities=False, are_views_chosen=True))
        return json.dumps(
            {
                "settings": settings,
                "version": version("cocon"),
                "folder": escaped(Path.cwd()),
                "fingerprint": self.model.fingerprint,
                "model_version": self.model.version,
                "made_by": {view: list(names) for view, names in self._made_by.items()},
            }
        )

    def _key(self) -> str:
        """Identity of all that decides what a video becomes."""
        content = {
            "fingerprint": self.model.fingerprint,
            "model": [self.model.name, self.model.version],
            "hop": overlap_hop(self.model.clip, self._settings.overlap),  # not the overlap, which was rounded otherwise
            "limits": asdict(self._settings.limits),
            "strict": self._settings.is_strict,
            "cocon": version("cocon"),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _shard_size(num_videos: int, num_workers: int) -> int:
    return max(1, min(_MAX_SHARD_VIDEOS, math.ceil(num_videos / (_SHARDS_PER_WORKER * num_workers))))


def _lasting_stamp(path: str) -> FileStamp | None:
    with suppress(OSError, ValueError):
        stamp = FileStamp.of(path)
        return stamp if stamp.is_settled(time.time_ns()) else None
    return None
