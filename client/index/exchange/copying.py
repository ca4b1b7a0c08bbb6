"""An index into another one, wherever they are kept: some videos at a time, as `export` and `import` would take them.

What is there already is left out, so a copy that was broken off goes on with the same command.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np

from cocon.client.index.exchange.clip_file import ClipFile
from cocon.client.index.exchange.clips_read import videos_of
from cocon.client.index.exchange.exporting import export_parquet
from cocon.client.index.exchange.importing import ImportReport
from cocon.client.index.exchange.incoming import incoming_of
from cocon.client.index.exchange.storing import BulkStore
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writing import CatalogueWriter, Store
from cocon.client.index.ranking.keeping import keep_ranking
from cocon.client.index.records import IndexFacts, check_fingerprint
from cocon.client.index.vote.keeping import keep_rule
from cocon.core.errors import MismatchError
from cocon.core.progress import OnProgress, no_progress

__all__ = ["ReadableStore", "copy_index"]

_PART_CLIPS = 1 << 14


class ReadableStore(Protocol):
    """An index whose videos can be read some at a time. As a text, its name for messages."""

    @property
    def facts(self) -> IndexFacts:
        """What it is made for."""
        ...

    def table(self) -> RowTable:
        """Its videos, and how many clips each has."""
        ...

    def part(self, video_ids: Sequence[int]) -> Snapshot:
        """A snapshot that has these videos, blocks included, and maybe others."""
        ...


def copy_index(
    source: ReadableStore, target: Store, *, wait_s: float = 0.0, on_progress: OnProgress = no_progress
) -> ImportReport:
    """Bring the videos of an index into another, which is made when it does not exist.

    Args:
        source: The one.
        target: The other.
        wait_s: How long to wait for another writer of it.
        on_progress: Called with clips done, of how many.

    Raises:
        UsageError: The source does not exist, or somebody else is writing the target.
        MismatchError: The target was made by another model, or the source is damaged.
        ServerError: A server does not answer; the same copy goes on from there.
    """
    facts, table = source.facts, source.table()
    parts = [table.video_ids[part] for part in table.parts(np.arange(len(table.video_ids)), _PART_CLIPS)]
    num_blocks = source.part(parts[0].tolist() if parts else ()).row_facts.num_blocks
    with target.writer(new=(facts, num_blocks), wait_s=wait_s) as writer:
        _check_belongs(facts, num_blocks, target, writer)
        bulk, done = None, 0
        for part in parts:
            with TemporaryDirectory(prefix="cocon-copy-") as folder:
                path = Path(folder) / "part.parquet"
                done += export_parquet(source.part(part.tolist()), path, no_progress, part).num_clips
                with ClipFile.open(path) as file:
                    bulk = bulk or BulkStore(writer, file.index)
                    for clips in videos_of(file, writer.facts):
                        bulk.put(incoming_of(clips), clips)
            on_progress(done, table.num_live)
        keep_rule(writer)
        keep_ranking(writer)
        target.keep_lists(writer, on_progress)
    if bulk is None:
        return ImportReport(0, 0, 0, 0)
    return ImportReport(bulk.added, bulk.updated, bulk.unchanged, bulk.num_clips)


def _check_belongs(facts: IndexFacts, num_blocks: int, target: Store, writer: CatalogueWriter) -> None:
    """The target may be another index; and blocks must be as many."""
    check_fingerprint(writer.facts, "+".join(facts.views), facts.fingerprint, index=str(target))
    held = writer.row_facts.num_blocks
    if held and num_blocks not in (0, held):
        raise MismatchError(f"index '{target}' has clips of {held} blocks, the other one of {num_blocks}")
