"""Reading all of an index, and saying what is wrong with it. Nothing is written, and no writer is waited for."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cocon.client.index.catalogue.schema import SCHEMA, NewerSchemaError
from cocon.client.index.files.earlier import earlier_snapshot
from cocon.client.index.files.leftovers import is_ours
from cocon.client.index.files.proven import CATALOG_FILE, log_of, written_schema
from cocon.client.index.files.seal import SEAL_FILE, Seal
from cocon.client.index.projection.stored_map import MAP_FILE, read_map
from cocon.client.index.upkeep.catalogue_read import CatalogueRead, read_catalogue
from cocon.client.index.upkeep.findings import Finding, Verification
from cocon.client.index.upkeep.list_checks import list_findings
from cocon.client.index.upkeep.records_read import catalogue_as_it_is, damage_of
from cocon.client.index.upkeep.row_damage import row_damage
from cocon.core.errors import MismatchError
from cocon.core.printable import in_one_line, printable
from cocon.core.progress import OnProgress

__all__ = ["seal_findings", "verify"]

# How often it is begun anew when a writer has gone on meanwhile.
_MAX_TRIES = 20


def verify(folder: Path, on_progress: OnProgress) -> Verification:
    """Look at every byte of an index that counts.

    Args:
        folder: Of the index, which exists.
        on_progress: Called with rows done, of how many.

    Raises:
        FileNotFoundError: It has no catalogue.
        UsageError: It may not be read.
        MismatchError: A newer version has written it.
    """
    for _ in range(_MAX_TRIES):
        seal = Seal.read(folder)
        found = _verified(folder, on_progress)
        if found.is_sound or Seal.read(folder) == seal:
            return found
    raise MismatchError(f"index '{printable(folder)}' changes faster than it can be verified; try again")


def _verified(folder: Path, on_progress: OnProgress) -> Verification:
    try:
        with catalogue_as_it_is(folder) as (connection, is_sealed):
            if not is_sealed and written_schema(connection, folder) == 1:
                return _verified_earlier(folder, connection)
            read = read_catalogue(connection, folder)
    except NewerSchemaError:
        raise
    except MismatchError as error:  # nothing more can be read
        return Verification(SCHEMA, "", 0, 0, 0, 0, (Finding(CATALOG_FILE, in_one_line(error)),))
    table = read.videos.table
    found = Verification(
        schema=int(read.facts.get("schema", SCHEMA)),
        epoch=str(read.facts.get("epoch", "")),
        num_videos=len(table.video_ids),
        num_places=sum(map(len, read.places.values())),
        num_clips=table.num_live,
        total_rows=read.rows.total_rows,
    )
    findings = [*read.findings, *(() if is_sealed else seal_findings(folder, read))]
    findings += _row_findings(folder, read, on_progress)
    findings += list_findings(folder, read.facts, read.rows.total_rows)
    findings += _map_findings(folder)
    findings += _leftovers(folder, read)
    return replace(found, findings=tuple(findings))


def seal_findings(folder: Path, read: CatalogueRead) -> list[Finding]:
    """Why the seal does not fit a catalogue that is sound: commits are lost, or it is damaged, or a writer was killed.

    Args:
        folder: Of the index.
        read: Its catalogue.
    """
    path, seal = folder / SEAL_FILE, Seal.read(folder)
    if not path.exists():
        return [Finding(SEAL_FILE, "is missing; the next writer writes it", is_error=False)]
    if seal is None:
        return [Finding(SEAL_FILE, "is damaged; 'client index rebuild', or the next writer, writes it anew")]
    epoch, before = read.facts.get("epoch"), read.facts.get("previous_epoch")
    if seal.epoch not in (epoch, before):
        return [Finding(CATALOG_FILE, f"lacks what was committed last: it does not belong to {SEAL_FILE}")]
    if any(finding.is_error for finding in read.findings):
        return []
    log = log_of(folder / CATALOG_FILE)
    if seal.epoch == epoch and not (log.exists() and log.stat().st_size):
        return [Finding(CATALOG_FILE, "has changed since it was sealed; no record is hurt, the next writer seals it")]
    message = "is not yet of the last commit: somebody is writing, or was killed; the next writer writes it"
    return [Finding(SEAL_FILE, message, is_error=False)]


def _row_findings(folder: Path, read: CatalogueRead, on_progress: OnProgress) -> list[Finding]:
    try:
        return list(row_damage(folder, read, on_progress).findings)
    except FileNotFoundError as error:
        return [Finding(Path(error.filename).name, "is missing, and all vectors with it")]
    except OSError as error:
        name = Path(error.filename or read.rows.vectors).name
        return [Finding(name, f"cannot be read: {error.strerror or in_one_line(error)}")]


def _leftovers(folder: Path, read: CatalogueRead) -> Iterator[Finding]:
    named = {read.rows.vectors, read.rows.blocks, (read.facts.get("lists") or {}).get("file")}
    for path in sorted(folder.iterdir()):
        if is_ours(path.name) and path.name not in named:
            message = "belongs to nothing: it is being written, or was left by a writer that was killed"
            yield Finding(path.name, message, is_error=False)


def _map_findings(folder: Path) -> Iterator[Finding]:
    """A damaged map costs nothing but the time to make it again."""
    try:
        read_map(folder)
    except MismatchError as error:
        yield Finding(MAP_FILE, in_one_line(error).removeprefix(f"'{MAP_FILE}' "), is_error=False)


def _verified_earlier(folder: Path, connection: sqlite3.Connection) -> Verification:
    """An index of the first schema: its vectors have no checksums, but must be unit vectors of one dimension."""
    findings = [Finding(CATALOG_FILE, line) for line in damage_of(connection)]
    try:
        snapshot = earlier_snapshot(folder, connection)
    except (sqlite3.Error, json.JSONDecodeError) as error:
        findings = findings or [Finding(CATALOG_FILE, f"is damaged: {in_one_line(error)}")]
        return Verification(1, "", 0, 0, 0, 0, tuple(findings))
    findings += [Finding(CATALOG_FILE, sentence) for sentence in snapshot.bad]
    table = snapshot.rows
    num_videos = len(table.video_ids)
    return Verification(1, "", num_videos, num_videos, table.num_live, table.total_rows, tuple(findings))
