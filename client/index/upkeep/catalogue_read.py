"""All that a catalogue says, proven record by record, and what is wrong with it."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.schema import FACT_COLUMNS, PLACE_COLUMNS, VIDEO_COLUMNS
from cocon.client.index.files.proven import CATALOG_FILE
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.records import IndexFacts, RowFacts
from cocon.client.index.upkeep.findings import Finding
from cocon.client.index.upkeep.records_read import TableRead, damage_of
from cocon.core.errors import MismatchError
from cocon.core.printable import in_one_line, printable, unescaped

__all__ = ["CatalogueRead", "CataloguedVideos", "read_catalogue"]

_AT = {name: number for number, name in enumerate(VIDEO_COLUMNS)}


@dataclass(frozen=True, slots=True)
class CataloguedVideos:
    """The sound records of contents, by id.

    Attributes:
        table: Which rows are whose.
        checksums: Of the vectors of all their rows, `uint64 [L]`.
        block_checksums: Of the blocks of those that have some, `uint64 [M]`.
        have_blocks: Which do, `bool [V]`.
    """

    table: RowTable
    checksums: NDArray[np.uint64]
    block_checksums: NDArray[np.uint64]
    have_blocks: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CatalogueRead:
    """What was read.

    Attributes:
        facts: Named values, without those that are damaged.
        index: What the index is made for.
        rows: Where its rows are.
        videos: Contents.
        places: Content → paths in their written form.
        findings: What is wrong.
    """

    facts: Mapping[str, Any]
    index: IndexFacts
    rows: RowFacts
    videos: CataloguedVideos
    places: Mapping[int, list[str]]
    findings: list[Finding] = field(default_factory=list)

    def paths_of(self, video_ids: NDArray[np.int64]) -> tuple[str, ...]:
        """Paths of contents, for the system; a content without one is named by its id."""
        return tuple(
            unescaped(path) for video_id in video_ids.tolist() for path in self.places.get(video_id, [f"id:{video_id}"])
        )


def read_catalogue(connection: sqlite3.Connection, folder: Path) -> CatalogueRead:
    """Read a catalogue of today's schema.

    Args:
        connection: To it, see `catalogue_as_it_is`.
        folder: Of the index.

    Raises:
        MismatchError: It does not say any more what the index is made for, or has no such tables.
    """
    return _Reading(connection, folder).read()


class _Reading:
    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._findings: list[Finding] = []
        self._tally = 0
        self._lacks = False

    def read(self) -> CatalogueRead:
        self._findings += [Finding(CATALOG_FILE, line) for line in damage_of(self._connection)]
        facts = self._facts()
        try:
            index = IndexFacts.from_json(facts["index"])
            rows = RowFacts(**facts["rows"])
        except (KeyError, TypeError) as error:
            raise MismatchError(
                f"catalogue '{printable(self._folder / CATALOG_FILE)}' does not say any more what the index is made "
                "for; restore a backup, or index anew"
            ) from error
        places, lost = self._places()
        videos = self._videos(index, rows, places)
        read = CatalogueRead(facts, index, rows, videos, places, self._findings)
        self._check_lost(read, lost)
        self._check_tally()
        _check_table(read)
        return read

    def _facts(self) -> dict[str, Any]:
        def on_bad(values: list[Any]) -> None:
            self._tell(f"the fact '{in_one_line(values[0])}' is damaged")

        records = TableRead(self._connection, self._folder, "facts", FACT_COLUMNS, on_bad)
        facts = {key: json.loads(value) for key, value in records}
        self._note_gaps(records, "facts")
        return facts

    def _places(self) -> tuple[dict[int, list[str]], list[str]]:
        """Content → paths, and paths whose record is damaged."""
        lost: list[str] = []
        records = TableRead(self._connection, self._folder, "places", PLACE_COLUMNS, lambda bad: lost.append(bad[0]))
        places: dict[int, list[str]] = {}
        for path, video_id, *_ in records:
            places.setdefault(video_id, []).append(path)
        for path in lost:
            self._tell(f"the record of '{in_one_line(path)}' is damaged", (str(path),))
        self._note_gaps(records, "places")
        self._tally ^= records.tally
        self._lacks |= bool(lost)
        return places, lost

    def _videos(self, index: IndexFacts, rows: RowFacts, places: Mapping[int, list[str]]) -> CataloguedVideos:
        def on_bad(values: list[Any], what: str = "is damaged") -> None:
            paths = tuple(map(unescaped, places.get(values[0], ()))) if isinstance(values[0], int) else ()
            named = f"'{printable(paths[0])}'" if paths else f"the video {in_one_line(values[0])}"
            self._tell(f"the record of {named} {what}", paths)
            self._lacks = True

        records = TableRead(self._connection, self._folder, "videos", VIDEO_COLUMNS, on_bad)
        kept, parts, block_parts = [], [], []
        for values in records:
            if problem := _problem_of(values, index):
                on_bad(values, problem)
                continue
            blocks = values[_AT["block_checksums"]]
            kept.append([values[0], values[_AT["first_row"]], values[_AT["num_rows"]], bool(blocks)])
            parts.append(values[_AT["checksums"]])
            block_parts.append(blocks)
        self._note_gaps(records, "videos")
        self._tally ^= records.tally
        ids, first_rows, num_rows, have_blocks = np.array(kept, np.int64).reshape(-1, 4).T.copy()
        return CataloguedVideos(
            RowTable(ids, first_rows, num_rows, rows.total_rows),
            np.frombuffer(b"".join(parts), "<u8"),
            np.frombuffer(b"".join(block_parts), "<u8"),
            have_blocks.astype(np.bool_),
        )

    def _check_lost(self, read: CatalogueRead, lost: list[str]) -> None:
        """Places whose content is not there, and contents without a place."""
        known = set(read.videos.table.video_ids.tolist())
        missing = {video_id for video_id in read.places if video_id not in known}
        told = {path for finding in self._findings for path in finding.videos}
        for video_id in sorted(missing):
            paths = tuple(map(unescaped, read.places[video_id]))
            if not told.issuperset(paths):
                self._tell(f"the content of '{printable(paths[0])}' is missing", paths)
        if orphans := sorted(known.difference(read.places)):
            is_damage = bool(lost) or any(finding.is_error for finding in self._findings)
            one = "1 content has" if len(orphans) == 1 else f"{len(orphans)} contents have"
            self._tell(f"{one} no place; the next 'client index add' forgets it", is_error=is_damage)

    def _check_tally(self) -> None:
        try:
            ((tally,),) = self._connection.execute("SELECT checksum FROM tally").fetchall()
        except (sqlite3.Error, ValueError):
            tally = None
        if tally != self._tally and not self._lacks:
            self._tell("records are missing, or the tally of them is damaged")

    def _note_gaps(self, records: TableRead, table: str) -> None:
        if records.has_gaps:
            self._tell(f"a part of the table of {table} cannot be read")
            self._lacks = True

    def _tell(self, message: str, videos: tuple[str, ...] = (), *, is_error: bool = True) -> None:
        self._findings.append(Finding(CATALOG_FILE, message, is_error, videos))


def _problem_of(values: list[Any], index: IndexFacts) -> str | None:
    """What is wrong with a record of a content whose checksum is right."""
    num_rows, spans = values[_AT["num_rows"]], values[_AT["spans"]]
    sizes = (len(spans), len(values[_AT["checksums"]]), len(values[_AT["block_checksums"]]))
    if (
        num_rows < 1
        or values[_AT["first_row"]] < 0
        or sizes
        not in (
            (16 * num_rows, 8 * num_rows, 8 * num_rows),
            (16 * num_rows, 8 * num_rows, 0),
        )
    ):
        return f"does not fit its {num_rows} rows"
    times = np.frombuffer(spans, "<f8").reshape(-1, 2)
    if not np.isfinite(times).all() or (times[:, 0] > times[:, 1]).any():
        return "has clips that end before they begin"
    if values[_AT["fingerprint"]] != index.fingerprint:
        return "is of another model than the index"
    return None


def _check_table(read: CatalogueRead) -> None:
    """Rows that two contents have, or that are beyond those committed."""
    table = read.videos.table
    order = np.argsort(table.first_rows, kind="stable")
    ends = np.maximum.accumulate(table.end_rows[order]) if len(order) else table.end_rows
    twice = table.video_ids[order[1:][table.first_rows[order[1:]] < ends[:-1]]]
    beyond = table.video_ids[table.end_rows > read.rows.total_rows]
    for ids, what in ((twice, "has rows of another one"), (beyond, "has rows that were never committed")):
        for video_id in ids.tolist():
            paths = read.paths_of(np.array([video_id]))
            read.findings.append(Finding(CATALOG_FILE, f"the record of '{printable(paths[0])}' {what}", True, paths))
    if (np.diff(table.first_rows) <= 0).any() and not len(twice):
        read.findings.append(Finding(CATALOG_FILE, "ids of videos do not rise with their rows"))
