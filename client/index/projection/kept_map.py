"""The map of an index: read once for each state of it, made when somebody asks for it."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.projection.mapping import DEFAULT_MAX_CLIPS, MatchedMap, made_map, matched_map
from cocon.client.index.projection.stored_map import MAP_FILE, StoredMap, read_map, write_map
from cocon.core.errors import MismatchError
from cocon.core.progress import OnProgress

__all__ = ["KeptMap", "map_cache"]


class KeptMap:
    """Safe for several threads, of which one looks at a time.

    Args:
        folder: Where it is kept: that of the index, or `map_cache`.
        tell: Called with what is wrong with the file.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._lock = Lock()
        self._known: tuple[Snapshot, tuple[int, ...], MatchedMap | None] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a file, sound or not."""
        return bool(self._stamp())

    def read(self, snapshot: Snapshot) -> StoredMap | None:
        """What the file says of a state of the index; None where there is none that can be used."""
        found = self._matched(snapshot)
        return found.stored if found else None

    def make(
        self, snapshot: Snapshot, max_clips: int | None, *, is_anew: bool, on_progress: OnProgress
    ) -> tuple[StoredMap, bool]:
        """The map of a state, stored; it is laid out where there is none, or it is stale, or of another size.

        Args:
            snapshot: Of the index.
            max_clips: Most points; None for as many as before, or the default.
            is_anew: Lay it out in any case.
            on_progress: Called with steps done, of how many; what it raises ends the work, and the old file stays.

        Returns:
            The map, and whether it was laid out anew.

        Raises:
            StorageError: The disk takes no more.
            UsageError: The folder cannot be written.
        """
        before = self._matched(snapshot)
        if max_clips is None:
            max_clips = before.points.max_clips if before else DEFAULT_MAX_CLIPS
        if before and not (is_anew or before.is_stale or before.points.max_clips != max_clips):
            if before.num_placed or before.num_gone:
                write_map(self._folder, before.points)
            return before.stored, False
        write_map(self._folder, made_map(snapshot, max_clips, on_progress=on_progress))
        made = self.read(snapshot)
        assert made is not None
        return made, True

    def _matched(self, snapshot: Snapshot) -> MatchedMap | None:
        with self._lock:
            stamp = self._stamp()
            if self._known is None or self._known[0] is not snapshot or self._known[1] != stamp:
                self._known = snapshot, stamp, self._found(snapshot)
            return self._known[2]

    def _found(self, snapshot: Snapshot) -> MatchedMap | None:
        try:
            held = read_map(self._folder)
        except MismatchError as error:
            self._tell(str(error))
            return None
        return None if held is None else matched_map(snapshot, held)

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = (self._folder / MAP_FILE).stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size


def map_cache(name: str) -> Path:
    """A folder of the user's cache for the map of an index that has no folder of its own."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cocon" / "maps" / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
