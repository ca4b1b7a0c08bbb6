"""A folder of shards: what of a run is done, also of one that was killed."""

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cocon.client.bulk.shard import (
    RowSizes,
    Shard,
    ShardHead,
    ShardInput,
    read_head,
    read_shard,
    shard_bytes,
    shard_name,
)
from cocon.client.pipeline.video_embedding import FailedVideo
from cocon.core.atomic import beside, replacing
from cocon.core.closing import Closing
from cocon.core.errors import MismatchError
from cocon.core.folder_lock import folder_lock
from cocon.core.paths import is_url
from cocon.core.printable import printable
from cocon.core.storage import storing

__all__ = ["ShardFolder", "ShardPlace", "remove_shards", "shards_beside"]

_logger = logging.getLogger(__name__)

_PATTERN = "shard-*.parquet"
# Readers of a folder of Parquet pass over hidden names.
_LOCK_FOLDER = ".writer"
# Shards that are held in memory while their results are handed out.
_NUM_HELD = 4


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """Where a result is.

    Attributes:
        shard: The file.
        position: In it.
    """

    shard: Path
    position: int


class ShardFolder(Closing):
    """The shards in a folder, of which none is trusted that does not prove itself; nobody else writes them meanwhile.

    Args:
        folder: Made when it does not exist. Other files in it are left alone.
        key: Identity of the settings and the model; results of others are not used.
        fingerprint: Of the model.
        sizes: How many numbers a clip has.

    Raises:
        UsageError: Another process is writing it.
        MismatchError: It holds vectors of another model.
        StorageError: The disk takes no more.
    """

    def __init__(self, folder: Path, key: str, *, fingerprint: str, sizes: RowSizes) -> None:
        self.folder = folder
        self.key = key
        self._fingerprint = fingerprint
        self._sizes = sizes
        self._read = lru_cache(_NUM_HELD)(read_shard)
        lock = folder / _LOCK_FOLDER
        with ExitStack() as held:
            held.enter_context(storing(folder))
            lock.mkdir(parents=True, exist_ok=True)
            held.enter_context(folder_lock(lock, "folder of shards"))
            self._known = self._usable(self._sound_heads())
            self._held = held.pop_all()

    def find(self, given: ShardInput) -> ShardPlace | None:
        """Where the result of a video is, if its file is as it was then."""
        return self._known.get(given)

    def path_of(self, inputs: tuple[ShardInput, ...]) -> Path:
        """Where the shard of some videos belongs."""
        return self.folder / shard_name(self.key, inputs)

    def shard(self, path: Path) -> Shard:
        """A shard of the folder.

        Raises:
            ValueError: It is damaged.
            OSError: It cannot be read.
        """
        return self._read(path)

    def put(self, inputs: tuple[ShardInput, ...], failed: Sequence[FailedVideo]) -> Path:
        """Write a shard of videos that have failed, for no fault that lasts; returns its path."""
        head = ShardHead(self.key, self._fingerprint, inputs, (False,) * len(inputs))
        with replacing(path := self.path_of(inputs)) as partial:
            partial.write_bytes(shard_bytes(Shard(head, tuple(failed), ()), self._sizes))
        return path

    def drop(self, path: Path) -> None:
        """Remove a shard that cannot be read."""
        path.unlink(missing_ok=True)
        self._known = {given: place for given, place in self._known.items() if place.shard != path}

    def keep_only(self, used: Mapping[str, ShardPlace]) -> None:
        """Take what is outdated out of the shards: other results of the videos whose results these are."""
        for path, head in self._sound_heads().items():
            outdated = [
                position
                for position, given in enumerate(head.inputs)
                if used.get(given.video, here := ShardPlace(path, position)) != here
            ]
            if outdated:
                self._rewrite(path, outdated)

    def close(self) -> None:
        """Let others write; a folder without shards goes."""
        self._held.close()
        _tidy(self.folder)

    def _usable(self, heads: Mapping[Path, ShardHead]) -> dict[ShardInput, ShardPlace]:
        """Where the results are that would be the same again."""
        for path, head in heads.items():
            if head.fingerprint != self._fingerprint:
                raise MismatchError(
                    f"'{printable(path)}' is of another model (fingerprint {printable(head.fingerprint)[:12]}) than "
                    f"this one ({self._fingerprint[:12]}); name another folder, or remove the shards in it"
                )
        return {
            given: ShardPlace(path, position)
            for path, head in heads.items()
            if head.key == self.key
            for position, (given, is_lasting) in enumerate(zip(head.inputs, head.is_lasting, strict=True))
            if is_lasting and given.stamp is not None
        }

    def _rewrite(self, path: Path, outdated: Iterable[int]) -> None:
        shard = read_shard(path).without([*outdated])
        if shard.results:
            with replacing(self.folder / shard.head.name) as partial:
                partial.write_bytes(shard_bytes(shard, self._sizes))
        path.unlink()

    def _sound_heads(self) -> dict[Path, ShardHead]:
        heads = {}
        for path in filter(Path.is_file, sorted(self.folder.glob(_PATTERN))):
            try:
                heads[path] = read_head(path)
            except ValueError as error:
                _logger.warning("%s; its videos are embedded again", error)
                path.unlink()
        return heads


def shards_beside(index: str) -> Path:
    """The folder of an index's shards while it is being filled; of one that is elsewhere, in the working directory.

    Args:
        index: Folder or URL.
    """
    name = Path(index.rstrip("/"))
    return beside(Path(name.name) if is_url(index) else name, ".shards")


def remove_shards(folder: Path) -> None:
    """Remove the shards in a folder, and the folder where nothing else is in it."""
    for path in folder.glob(_PATTERN):
        path.unlink()
    _tidy(folder)


def _tidy(folder: Path) -> None:
    shutil.rmtree(folder / _LOCK_FOLDER, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
