"""Which videos of an index have rows that are not what was stored."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_file import RowFile
from cocon.client.index.files.snapshot import block_file, vector_file
from cocon.client.index.upkeep.catalogue_read import CatalogueRead
from cocon.client.index.upkeep.findings import Finding
from cocon.client.index.upkeep.row_checks import are_finite, are_unit, sound_rows
from cocon.core.printable import printable
from cocon.core.progress import OnProgress

__all__ = ["RowDamage", "row_damage"]

_MAX_NAMED = 5  # clips


@dataclass(frozen=True, slots=True)
class RowDamage:
    """What reading all rows of the sound records has shown.

    Attributes:
        videos: Which contents are whole, `bool [V]`.
        has_blocks: Whether the file of blocks is there, where there should be one.
        findings: What is wrong.
    """

    videos: NDArray[np.bool_]
    has_blocks: bool
    findings: tuple[Finding, ...]


def row_damage(folder: Path, read: CatalogueRead, on_progress: OnProgress) -> RowDamage:
    """Read the rows of all videos.

    Args:
        folder: Of the index.
        read: Its catalogue.
        on_progress: Called with rows done, of how many.

    Raises:
        FileNotFoundError: The file of vectors is gone.
    """
    table, stored = read.videos.table, read.videos
    rows = table.rows_of(np.arange(len(table.video_ids)))
    with_blocks = np.flatnonzero(stored.have_blocks)
    block_rows = table.rows_of(with_blocks)
    blocks = block_file(folder, read.index, read.rows)
    total, done = len(rows) + (len(block_rows) if blocks else 0), 0

    def on_rows(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    vectors = vector_file(folder, read.index, read.rows)
    sound = np.ones(len(table.video_ids), np.bool_)
    checks = [_Check(vectors, np.arange(len(table.video_ids)), rows, stored.checksums, are_unit)]
    has_blocks = blocks is not None and blocks.path.exists()
    if blocks is not None and has_blocks:
        checks.append(_Check(blocks, with_blocks, block_rows, stored.block_checksums, are_finite))
    findings: list[Finding] = []
    if blocks is not None and not has_blocks:
        findings.append(Finding(blocks.path.name, "is missing: order counts no more when videos are ranked"))
    for check in checks:
        findings += check.sizes(read)
        positions, told = check.run(read, on_rows)
        sound[positions] = False
        findings += told
    return RowDamage(sound, has_blocks, tuple(findings))


@dataclass(frozen=True, slots=True)
class _Check:
    """One file: the contents that have rows in it, the rows, and their checksums."""

    file: RowFile
    positions: NDArray[np.int64]
    rows: NDArray[np.int64]
    expected: NDArray[np.uint64]
    is_right: Callable[[NDArray[Any]], NDArray[np.bool_]]

    def run(self, read: CatalogueRead, on_rows: Callable[[int], None]) -> tuple[NDArray[np.int64], list[Finding]]:
        """Contents with damaged rows, and a finding about each."""
        order = np.argsort(self.rows, kind="stable")  # rising already, unless the records are wrong
        sound = np.empty(len(order), np.bool_)
        sound[order] = sound_rows(
            self.file, self.rows[order], self.expected[order], is_right=self.is_right, on_rows=on_rows
        )
        table = read.videos.table
        counts = table.num_rows[self.positions]
        owner = np.repeat(np.arange(len(self.positions)), counts)
        clip = self.rows - np.repeat(table.first_rows[self.positions], counts)
        damaged, firsts = np.unique(owner[~sound], return_index=True)
        clips = np.split(clip[~sound], firsts[1:]) if len(damaged) else []
        findings = [
            self._finding(read, int(self.positions[position]), found)
            for position, found in zip(damaged, clips, strict=True)
        ]
        return self.positions[damaged], findings

    def sizes(self, read: CatalogueRead) -> list[Finding]:
        """What the size of the file says."""
        size, wanted = self.file.path.stat().st_size, read.rows.total_rows * self.file.row_bytes
        if size < wanted:
            return [Finding(self.file.path.name, f"is cut short: {size} bytes of {wanted}")]
        if size > wanted:
            message = f"{size - wanted} bytes behind its rows were never committed; the next writer writes over them"
            return [Finding(self.file.path.name, message, is_error=False)]
        return []

    def _finding(self, read: CatalogueRead, position: int, clips: NDArray[np.int64]) -> Finding:
        paths = read.paths_of(read.videos.table.video_ids[position : position + 1])
        of = int(read.videos.table.num_rows[position])
        named = ", ".join(map(str, clips[:_MAX_NAMED].tolist())) + (", …" if len(clips) > _MAX_NAMED else "")
        message = f"{len(clips)} of {of} clips of '{printable(paths[0])}' are damaged (clip {named})"
        return Finding(self.file.path.name, message, True, paths)
