"""The folder of an index, as one keeps it: verified, repaired, made small, copied, and taken elsewhere."""

from contextlib import AbstractContextManager, suppress
from os import PathLike
from pathlib import Path

import numpy as np

from cocon.client.index.answers.kept_lists import keep_lists
from cocon.client.index.exchange.exporting import ExportReport, export_parquet
from cocon.client.index.exchange.importing import ImportReport, import_clips
from cocon.client.index.files.leftovers import make_folder
from cocon.client.index.files.proven import CATALOG_FILE
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.seal import SEAL_FILE
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.files.writing import CatalogueWriter
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.records import IndexFacts
from cocon.client.index.upkeep.backing_up import BackupReport, back_up
from cocon.client.index.upkeep.compaction import CompactReport, compact
from cocon.client.index.upkeep.figures import IndexStatistics, statistics_of
from cocon.client.index.upkeep.findings import Verification
from cocon.client.index.upkeep.rebuilding import RebuildReport, rebuild
from cocon.client.index.upkeep.verification import verify
from cocon.core.errors import MismatchError, UsageError
from cocon.core.printable import printable
from cocon.core.progress import OnProgress, no_progress
from cocon.video.output_file import output_file

__all__ = ["KeptFolder"]


class KeptFolder:
    """An index folder.

    All that takes long calls `on_progress` with the rows that are done, of how many. What is damaged beyond reading, or
    written by a newer version, raises `MismatchError`; a disk that takes no more raises `StorageError`, and the index
    stays as it was.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = Path(folder)

    def __str__(self) -> str:
        return printable(self.folder)

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return (self.folder / CATALOG_FILE).is_file()

    def check_exists(self) -> None:
        """Raise `UsageError` if it has not, and `MismatchError` if only a part of it is left."""
        if not self.exists:
            if (self.folder / SEAL_FILE).exists():
                raise MismatchError(f"index '{self}' has lost its '{CATALOG_FILE}'; restore a backup, or index anew")
            raise UsageError(f"index '{self}' does not exist; make one with 'client index add'")

    def known_facts(self) -> IndexFacts | None:
        """What it is made for, as its files say now; None where it has not been made."""
        return open_snapshot(self.folder).facts if self.exists else None

    def writer(
        self, *, new: tuple[IndexFacts, int] | None = None, wait_s: float = 0.0
    ) -> AbstractContextManager[CatalogueWriter]:
        """Open it for writing; see `Store.writer`."""
        if new is not None:
            make_folder(self.folder)
        return IndexWriter(self.folder, new=new, wait_s=wait_s)

    def keep_lists(self, writer: IndexWriter, on_progress: OnProgress) -> None:
        """Build the lists of the index, or make them longer, if that is due."""
        keep_lists(writer, on_progress)

    def verify(self, *, on_progress: OnProgress = no_progress) -> Verification:
        """Read all of the index, and say what is damaged; nothing is written, others may write meanwhile.

        Raises:
            UsageError: It does not exist, or may not be read.
        """
        self.check_exists()
        return verify(self.folder, on_progress)

    def statistics(self) -> IndexStatistics:
        """What it consists of and how large it is.

        Raises:
            UsageError: It does not exist, or may not be read.
        """
        self.check_exists()
        return statistics_of(open_snapshot(self.folder))

    def rebuild(self, *, wait_s: float = 0.0, on_progress: OnProgress = no_progress) -> RebuildReport:
        """Keep what is sound of a damaged index, and name the videos that are to be added again.

        Args:
            wait_s: How long to wait for another writer.
            on_progress: See above.

        Raises:
            UsageError: It does not exist, or another process is writing.
        """
        self.check_exists()
        report = rebuild(self.folder, on_progress, wait_s=wait_s)
        with suppress(UsageError), IndexWriter(self.folder) as writer:  # or who is writing now makes them
            keep_lists(writer, on_progress)
        return report

    def compact(self, *, wait_s: float = 0.0, on_progress: OnProgress = no_progress) -> CompactReport:
        """Give back the room of videos that were removed; ids stay, and who reads meanwhile is not disturbed.

        Args:
            wait_s: How long to wait for another writer.
            on_progress: See above.

        Raises:
            UsageError: It does not exist, or another process is writing.
        """
        self.check_exists()
        return compact(self.folder, on_progress, wait_s=wait_s)

    def backup(self, target: str | PathLike[str], *, on_progress: OnProgress = no_progress) -> BackupReport:
        """Copy the present state into a folder that is an index by itself; others may write meanwhile.

        Args:
            target: A folder that is empty, or not there.
            on_progress: See above.

        Raises:
            UsageError: The index does not exist, or the target is something else or cannot be written.
        """
        self.check_exists()
        return back_up(self.folder, Path(target), on_progress)

    def export(
        self, path: str | PathLike[str], filters: Filters = NO_FILTERS, *, on_progress: OnProgress = no_progress
    ) -> ExportReport:
        """Write the index as one Parquet file, vectors and blocks included.

        Args:
            path: The file; it is there when it is whole.
            filters: What a video must meet at one of its places; it goes out with all of them, and all its clips.
            on_progress: See above.

        Raises:
            UsageError: The index does not exist, or the file cannot be written.
        """
        self.check_exists()
        snapshot, video_ids = open_snapshot(self.folder), None
        if filters != NO_FILTERS:
            video_ids = np.array([video_id for _, video_id in filters.timely_places(snapshot.select)], np.int64)
        with output_file(Path(path), option="export") as partial:
            return export_parquet(snapshot, partial, on_progress, video_ids)

    def import_file(
        self, path: str | PathLike[str], *, wait_s: float = 0.0, on_progress: OnProgress = no_progress
    ) -> ImportReport:
        """Bring in the clips of a file that `export` has written, or `client embed`; the index is made if need be.

        What is there already is left out, so that the same import goes on where another was broken off.

        Args:
            path: `.parquet` or `.npz`, or a folder of `.parquet`.
            wait_s: How long to wait for another writer.
            on_progress: See above; each clip counts twice, as it is looked at and as it is stored.

        Raises:
            UsageError: A file is damaged, a folder holds something else, or another process is writing.
            MismatchError: The clips fit no index or not this one; nothing is written.
        """
        return import_clips(self, Path(path), on_progress, wait_s=wait_s)
