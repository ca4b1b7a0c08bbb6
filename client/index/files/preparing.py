"""Before a writer opens a catalogue: make it, bring it over from an earlier schema, or clear up after a killed one."""

import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cocon.client.index.catalogue.tables import new_tables
from cocon.client.index.files.earlier import bring_over, earlier_facts
from cocon.client.index.files.page_sums import PageSums
from cocon.client.index.files.proven import CATALOG_FILE, checked, recovered, written_schema
from cocon.client.index.files.row_file import RowFile
from cocon.client.index.files.seal import SEAL_FILE, Seal
from cocon.client.index.files.snapshot import block_file, vector_file
from cocon.client.index.records import IndexFacts, RowFacts
from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError
from cocon.core.printable import printable
from cocon.core.storage import storing

__all__ = ["create_index", "forget_log", "new_catalog", "new_name", "open_to_write", "seal_catalog", "settle"]

_logger = logging.getLogger(__name__)

# How long another program may read the catalogue by SQLite while it is to be written.
_LOCKED_S = 30.0


def new_name(kind: str) -> str:
    """A name that no file had before: `vectors`, `blocks` or `lists`."""
    ending = {"vectors": "f32", "blocks": "f16", "lists": "faiss"}[kind]
    return f"{kind}-{secrets.token_hex(8)}.{ending}"


def create_index(folder: Path, facts: IndexFacts, num_blocks: int) -> None:
    """Make an empty index; the folder exists, and the writer lock is held."""
    rows = RowFacts(new_name("vectors"), new_name("blocks") if num_blocks else None, num_blocks, 0)
    epoch = secrets.token_hex(16)
    for file in (vector_file(folder, facts, rows), block_file(folder, facts, rows)):
        if file is not None:
            with storing(file.path):
                file.path.touch()
    with new_catalog(folder) as connection:
        new_tables(connection, facts, rows, epoch)
    seal_catalog(folder, epoch)


@contextmanager
def new_catalog(folder: Path) -> Iterator[sqlite3.Connection]:
    """A database that takes the catalogue's place when it is complete."""
    with replacing(folder / CATALOG_FILE, is_durable=True) as partial:
        partial.touch()
        try:
            with closing(open_to_write(partial)) as connection:
                yield connection
        finally:  # stay where the disk is full
            forget_log(partial)


def seal_catalog(folder: Path, epoch: str) -> None:
    """Seal a catalogue that has just taken its place."""
    Seal.of(epoch, (folder / CATALOG_FILE).read_bytes()).write(folder)


def settle(folder: Path) -> PageSums | None:
    """Bring the files of an index into a state that SQLite may open; the pages of its catalogue, if the seal fits it.

    A log whose catalogue is sealed is stale, or of a commit that nobody was told of; read in part, it would undo
    others.
    """
    path = folder / CATALOG_FILE
    seal = Seal.read(folder)
    if seal is not None and seal.fits_pages(pages := PageSums(path)):
        forget_log(path)
        return pages
    with recovered(folder) as connection:
        is_earlier = written_schema(connection, folder) == 1
        found = None if is_earlier else checked(connection, folder, must_be_last=False)
    if found is None:
        _migrate(folder)
        return PageSums(path)
    with closing(found.connection):
        if found.bad:
            raise MismatchError(f"catalogue '{printable(path)}' is damaged: {found.bad[0]}; run 'client index rebuild'")
    if seal is not None and not found.is_last:
        _logger.warning(
            "index '%s' is an older one than %s says; it goes on from there, what was added since is to be added again",
            printable(folder),
            SEAL_FILE,
        )
    return None


def _migrate(folder: Path) -> None:
    """Bring an index of the first schema into today's form; killed in the midst, it is still of the first."""
    path = folder / CATALOG_FILE
    with closing(sqlite3.connect(path, isolation_level=None, timeout=_LOCKED_S)) as old:
        # Its log must be in it, and gone, before another takes its place.
        if old.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",):
            raise sqlite3.OperationalError("its log is in use")
        _bring_over(folder, old)


def _bring_over(folder: Path, old: sqlite3.Connection) -> None:
    name, epoch = new_name("vectors"), secrets.token_hex(16)
    file = RowFile(folder / name, "<f4", (earlier_facts(old).embedding_dim,))
    with storing(file.path):
        file.path.touch()
    with new_catalog(folder) as connection:
        for sentence in bring_over(old, connection, file.write, vectors_name=name, epoch=epoch):
            _logger.warning("index '%s': %s", printable(folder), sentence)
    seal_catalog(folder, epoch)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open a catalogue to write. Readers of ours do not disturb; for those of SQLite it waits."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCKED_S)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def forget_log(path: Path) -> None:
    """Remove what SQLite keeps beside a catalogue that needs it no more."""
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
