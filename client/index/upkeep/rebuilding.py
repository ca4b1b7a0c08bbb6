"""Making a damaged index whole: what is sound stays, and what is not is named, so that it can be added again.

Rows go into new files, records into a new catalogue; until that takes the place of the old one, nothing has changed.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.translation import translated
from cocon.client.index.files.earlier import bring_over, earlier_facts
from cocon.client.index.files.leftovers import remove_leftovers
from cocon.client.index.files.preparing import forget_log, new_catalog, new_name, seal_catalog
from cocon.client.index.files.proven import CATALOG_FILE, log_of, written_schema
from cocon.client.index.files.row_file import RowFile
from cocon.client.index.files.seal import Seal
from cocon.client.index.files.snapshot import block_file, vector_file
from cocon.client.index.records import RowFacts
from cocon.client.index.upkeep.catalogue_read import CatalogueRead, read_catalogue
from cocon.client.index.upkeep.findings import Finding
from cocon.client.index.upkeep.new_records import write_records
from cocon.client.index.upkeep.records_read import catalogue_as_it_is
from cocon.client.index.upkeep.row_damage import RowDamage, row_damage
from cocon.client.index.upkeep.row_pieces import copy_rows
from cocon.client.index.upkeep.verification import seal_findings
from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError
from cocon.core.folder_lock import folder_lock
from cocon.core.printable import escaped, in_one_line, printable, unescaped
from cocon.core.progress import OnProgress

__all__ = ["RebuildReport", "rebuild"]


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What is left.

    Attributes:
        num_videos: Contents that were kept.
        dropped: Paths of the videos that were not, in alphabetical order; 'client index add' brings them back.
        findings: What was wrong.
    """

    num_videos: int
    dropped: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing was lost, as far as can be known."""
        return not self.dropped and not any(finding.is_error for finding in self.findings)

    def row(self) -> dict[str, object]:
        """The fields by name, for JSON; paths in their written form (`printable.escaped`)."""
        told = [
            {"file": finding.file, "message": finding.message, "is_error": finding.is_error}
            for finding in self.findings
        ]
        return {"num_videos": self.num_videos, "dropped": [escaped(path) for path in self.dropped], "findings": told}


def rebuild(folder: Path, on_progress: OnProgress, *, wait_s: float = 0.0) -> RebuildReport:
    """Keep what is sound.

    Args:
        folder: Of the index, which exists.
        on_progress: Called with rows done, of how many.
        wait_s: How long to wait for another writer.

    Raises:
        UsageError: Somebody else is writing, or the folder cannot be written.
        MismatchError: Nothing of it can be read, or a newer version has written it.
        StorageError: The disk takes no more; the index stays as it is.
    """
    with (
        folder_lock(folder, "index", wait_s=wait_s),
        _last_resort(folder),
        catalogue_as_it_is(folder) as (connection, is_sealed),
    ):
        if not is_sealed and written_schema(connection, folder) == 1:
            return _rebuilt_earlier(folder, connection)
        return _Rebuilding(folder, connection, is_sealed, on_progress).run()


@contextmanager
def _last_resort(folder: Path) -> Iterator[None]:
    """What SQLite cannot read at all, nor can we."""
    path = folder / CATALOG_FILE
    try:
        with translated(path):
            yield
    except MismatchError as error:
        if not isinstance(error.__cause__, sqlite3.Error | UnicodeError):
            raise
        reason = in_one_line(error.__cause__)
        raise MismatchError(
            f"nothing of catalogue '{printable(path)}' can be read: {reason}; restore a backup, or index anew in "
            "another folder"
        ) from error


class _Rebuilding:
    def __init__(self, folder: Path, connection: sqlite3.Connection, is_sealed: bool, on_progress: OnProgress) -> None:
        self._folder = folder
        self._connection = connection
        self._is_sealed = is_sealed
        self._on_progress = on_progress

    def run(self) -> RebuildReport:
        read = read_catalogue(self._connection, self._folder)
        findings = [*read.findings, *(() if self._is_sealed else seal_findings(self._folder, read))]
        damage = self._damage(read)
        kept = self._kept(read, damage)
        rows = self._copied(read, damage, kept)
        try:
            _absorb_log(self._folder, self._connection, self._is_sealed)
            epoch = self._replace(read, rows, kept)
        except BaseException:
            _remove(self._folder, rows)
            raise
        _seal(self._folder, epoch, rows)
        findings += damage.findings
        return RebuildReport(len(kept), self._dropped(read, kept, findings), tuple(findings))

    def _damage(self, read: CatalogueRead) -> RowDamage:
        """Which videos' rows are damaged: all, where their file is gone."""
        try:
            return row_damage(self._folder, read, self._on_progress)
        except FileNotFoundError as error:
            finding = Finding(Path(error.filename).name, "is missing, and all vectors with it")
            return RowDamage(np.zeros(len(read.videos.table.video_ids), np.bool_), False, (finding,))

    def _kept(self, read: CatalogueRead, damage: RowDamage) -> NDArray[np.int64]:
        """Ids of the videos that stay: they are sound, share no rows with others, and have a place."""
        table, last, kept = read.videos.table, -1, []
        for position in np.flatnonzero(damage.videos).tolist():
            video_id, first, end = (
                int(column[position]) for column in (table.video_ids, table.first_rows, table.end_rows)
            )
            if first >= last and end <= table.total_rows and video_id in read.places:
                kept.append(video_id)
                last = end
        return np.array(kept, np.int64)

    def _copied(self, read: CatalogueRead, damage: RowDamage, kept: NDArray[np.int64]) -> RowFacts:
        """Write the rows of the videos that stay into new files."""
        table, old = read.videos.table, read.rows
        rows = table.rows_of(table.positions_of(kept))
        has_blocks = damage.has_blocks and old.blocks is not None
        new = RowFacts(new_name("vectors"), None, 0, len(rows))
        if has_blocks:
            new = RowFacts(new.vectors, new_name("blocks"), old.num_blocks, len(rows))
        try:
            self._copy(vector_file(self._folder, read.index, old), vector_file(self._folder, read.index, new), rows)
            source, target = (block_file(self._folder, read.index, facts) for facts in (old, new))
            if source is not None and target is not None:
                self._copy(source, target, rows)
        except BaseException:
            _remove(self._folder, new)
            raise
        return new

    def _copy(self, source: RowFile, target: RowFile, rows: NDArray[np.int64]) -> None:
        if len(rows):
            copy_rows(source, rows, target, lambda count: None)
        else:  # and the source is perhaps not there
            target.path.touch()

    def _replace(self, read: CatalogueRead, rows: RowFacts, kept: NDArray[np.int64]) -> str:
        """A new catalogue in the place of the old one: its epoch follows the one that the seal has."""
        seal, epoch = Seal.read(self._folder), secrets.token_hex(16)
        before = seal.epoch if seal is not None else str(read.facts.get("epoch", epoch))
        with new_catalog(self._folder) as new:
            write_records(new, self._connection, self._folder, read, rows, kept, epochs=(before, epoch))
        return epoch

    def _dropped(self, read: CatalogueRead, kept: NDArray[np.int64], findings: list[Finding]) -> tuple[str, ...]:
        stays = set(kept.tolist())
        lost = {path for finding in findings if finding.is_error for path in finding.videos}
        here = {video_id: [unescaped(path) for path in paths] for video_id, paths in read.places.items()}
        lost |= {path for video_id, paths in here.items() if video_id not in stays for path in paths}
        lost -= {path for video_id, paths in here.items() if video_id in stays for path in paths}
        return tuple(sorted(path for path in lost if not path.startswith("id:")))


def _absorb_log(folder: Path, connection: sqlite3.Connection, is_sealed: bool) -> None:
    """Bring what the log holds into the catalogue, and the log away: beside another catalogue it would destroy that."""
    path = folder / CATALOG_FILE
    log = log_of(path)
    if not is_sealed and log.exists() and log.stat().st_size:
        with replacing(path, is_durable=True) as partial:
            partial.write_bytes(connection.serialize())
    forget_log(path)


def _remove(folder: Path, rows: RowFacts) -> None:
    for name in filter(None, (rows.vectors, rows.blocks)):
        with suppress(OSError):  # the next writer may
            (folder / name).unlink(missing_ok=True)


def _seal(folder: Path, epoch: str, rows: RowFacts) -> None:
    seal_catalog(folder, epoch)
    remove_leftovers(folder, {name for name in (rows.vectors, rows.blocks) if name})


def _rebuilt_earlier(folder: Path, connection: sqlite3.Connection) -> RebuildReport:
    """An index of the first schema comes into today's form on the way."""
    rows, epoch = RowFacts(new_name("vectors"), None, 0, 0), secrets.token_hex(16)
    file = RowFile(folder / rows.vectors, "<f4", (earlier_facts(connection).embedding_dim,))
    before = [path for (path,) in connection.execute("SELECT path FROM videos")]
    try:
        file.path.touch()
        _absorb_log(folder, connection, is_sealed=False)
        with new_catalog(folder) as new:
            told = bring_over(connection, new, file.write, vectors_name=rows.vectors, epoch=epoch)
            kept = {path for (path,) in new.execute("SELECT path FROM places")}
    except BaseException:
        _remove(folder, rows)
        raise
    _seal(folder, epoch, rows)
    dropped = sorted(unescaped(path) for path in set(before) - kept)
    return RebuildReport(len(kept), tuple(dropped), tuple(Finding(CATALOG_FILE, sentence) for sentence in told))
