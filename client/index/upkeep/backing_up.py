"""A copy of an index that is an index by itself, made while others write.

What is copied is one state: the files of rows only ever grow, and those of lists never change. The catalogue comes
last, so that a copy that was broken off is no index.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.leftovers import is_ours, remove_leftovers
from cocon.client.index.files.proven import CATALOG_FILE
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.row_file import RowFile
from cocon.client.index.files.seal import SEAL_FILE, Seal
from cocon.client.index.files.snapshot import Snapshot, block_file, vector_file
from cocon.client.index.upkeep.list_checks import list_findings
from cocon.client.index.upkeep.records_read import catalogue_as_it_is
from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError, UsageError
from cocon.core.folder_lock import LOCK_FILE, folder_lock
from cocon.core.paths import real_path
from cocon.core.printable import printable
from cocon.core.progress import OnProgress
from cocon.core.storage import refused, storing

__all__ = ["BackupReport", "back_up"]

_PIECE_BYTES = 32 << 20
# How often it is begun anew when a compaction takes a file away.
_MAX_TRIES = 20


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was copied.

    Attributes:
        num_videos: Contents.
        num_clips: Clips.
        total_bytes: Of all files.
    """

    num_videos: int
    num_clips: int
    total_bytes: int


def back_up(folder: Path, target: Path, on_progress: OnProgress) -> BackupReport:
    """Copy the present state of an index.

    Args:
        folder: Of the index, which exists.
        target: A folder that is empty, or not there.
        on_progress: Called with rows done, of how many.

    Raises:
        UsageError: The target is something else, or cannot be written.
        MismatchError: The index is damaged.
        StorageError: The disk takes no more; nothing of the copy is left.
    """
    _check_target(folder, target)
    was_there = target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with folder_lock(target, "backup"):
            remove_leftovers(target, ())  # of a backup that was killed
            made = _Backup(folder, target, on_progress).run()
    except BaseException as error:
        _remove(target, was_there=was_there)
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise refused(error, f"backup '{printable(target)}'") from error
        raise
    return made


class _Backup:
    def __init__(self, folder: Path, target: Path, on_progress: OnProgress) -> None:
        self._folder = folder
        self._target = target
        self._on_progress = on_progress
        self._total = 0
        self._done = 0

    def run(self) -> BackupReport:
        snapshot = self._with_lists()
        _check_sound(snapshot, snapshot.bad)
        lists = list_findings(self._target, {"lists": snapshot.fact("lists")}, snapshot.row_facts.total_rows)
        _check_sound(snapshot, (f"'{finding.file}' {finding.message}" for finding in lists))
        rows = snapshot.row_facts
        if rows.vectors:
            blocks = snapshot.blocks if rows.blocks else None
            self._total = len(snapshot.vectors) + (0 if blocks is None else len(blocks))
            files = (vector_file(self._target, snapshot.facts, rows), block_file(self._target, snapshot.facts, rows))
            for file, held in zip(files, (snapshot.vectors, blocks), strict=True):
                if file is not None and held is not None:
                    self._copy(file, held)
            self._check_rows(snapshot)
            content = snapshot.serialized()
        else:  # an index of the first schema is its catalogue alone
            with catalogue_as_it_is(self._folder) as (connection, _):
                content = bytearray(connection.serialize())
        with replacing(self._target / CATALOG_FILE, is_durable=True) as partial:
            partial.write_bytes(content)
        if rows.vectors:
            Seal.of(snapshot.epoch, content).write(self._target)
        total = sum(path.stat().st_size for path in self._target.iterdir())
        return BackupReport(len(snapshot.rows.video_ids), snapshot.rows.num_live, total)

    def _with_lists(self) -> Snapshot:
        """A state, and its file of lists copied; a compaction may take that away in between."""
        for _ in range(_MAX_TRIES):
            snapshot = open_snapshot(self._folder)
            name = (snapshot.fact("lists") or {}).get("file")
            if not name:
                return snapshot
            with suppress(FileNotFoundError):
                with storing(self._target / name), replacing(self._target / name, is_durable=True) as partial:
                    shutil.copyfile(self._folder / name, partial)
                return snapshot
        raise MismatchError(f"index '{printable(self._folder)}' lacks its lists; 'client index compact' makes them")

    def _copy(self, file: RowFile, held: NDArray[Any]) -> None:
        with storing(file.path):
            file.path.touch()
        step = max(1, _PIECE_BYTES // file.row_bytes)
        for begin in range(0, len(held), step):
            file.write(begin, held[begin : begin + step])
            self._done += len(held[begin : begin + step])
            self._on_progress(self._done, self._total)

    def _check_rows(self, snapshot: Snapshot) -> None:
        """Refuse damaged rows: a backup is made to be relied on."""
        damaged = snapshot.rows.video_ids[snapshot.rows.videos_of(snapshot.unsound)]
        if snapshot.row_facts.blocks is not None:
            with_blocks = snapshot.select(
                "SELECT video_id FROM videos WHERE length(block_checksums) > 0 ORDER BY video_id"
            )
            positions = snapshot.rows.positions_of(np.array(with_blocks, np.int64).ravel())
            live = snapshot.rows.rows_of(positions)
            for rows in np.array_split(live, max(1, len(live) >> 16)):
                bad = rows[~snapshot.have_sound_blocks(rows)]
                damaged = np.concatenate([damaged, snapshot.rows.video_ids[snapshot.rows.videos_of(bad)]])
        _check_sound(snapshot, (f"rows of {len(np.unique(damaged))} videos are" for _ in damaged[:1]))


def _check_sound(snapshot: Snapshot, damage: Iterable[str]) -> None:
    for told in damage:
        raise MismatchError(
            f"index '{printable(snapshot.folder)}' is damaged ({told}); see 'client index verify', and run "
            "'client index rebuild' before a backup"
        )


def _check_target(folder: Path, target: Path) -> None:
    named = f"backup '{printable(target)}'"
    if real_path(folder) in (real_path(target), *real_path(target).parents):
        raise UsageError(f"{named} lies in the index itself; name another folder")
    try:
        present = [path.name for path in target.iterdir()] if target.exists() else []
    except OSError as error:
        raise UsageError(f"{named} is no folder that can be read: {error.strerror}; name another") from error
    if CATALOG_FILE in present or any(name != LOCK_FILE and not is_ours(name) for name in present):
        raise UsageError(f"{named} is not empty; name a new folder")


def _remove(target: Path, *, was_there: bool) -> None:
    """Take away what was written, as far as the system lets us."""
    with suppress(OSError):
        for path in target.iterdir():
            if path.name in (CATALOG_FILE, SEAL_FILE, LOCK_FILE) or is_ours(path.name):
                with suppress(OSError):
                    path.unlink()
        if not was_there:
            target.rmdir()
