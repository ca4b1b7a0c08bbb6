"""Reading a catalogue without locks, and without writing anything: bytes that their seal proves.

A reader takes the bytes of the whole file. If the seal fits them, they are the state of one commit, and become a
database in memory. If not, somebody is writing and a moment later it fits; or a writer was killed in the midst of a
commit, or a byte has changed on the disk. Then a copy is recovered by SQLite in a temporary folder, and every record
proven by its own checksum: a bad one is left out, a lost one refuses the index.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cocon.client.index.catalogue.schema import (
    FACT_COLUMNS,
    PLACE_COLUMNS,
    SCHEMA,
    VIDEO_COLUMNS,
    check_schema,
    record_checksum,
)
from cocon.client.index.catalogue.translation import translated
from cocon.client.index.files.seal import SEAL_FILE, Seal
from cocon.core.errors import MismatchError, UsageError
from cocon.core.folder_lock import writer_of
from cocon.core.printable import in_one_line, printable
from cocon.core.storage import storing

__all__ = [
    "CATALOG_FILE",
    "Proven",
    "any_text",
    "as_file",
    "checked",
    "in_memory",
    "log_of",
    "proven",
    "recovered",
    "written_schema",
]

CATALOG_FILE = "catalog.sqlite"

# How long a reader waits for a seal that does not fit while there is a writer: the seal must change, or he is stuck.
_IDLE_S, _BUSY_S = 0.2, 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.02
_HEADER_BYTES = 100
_NEEDED = ("schema", "epoch", "previous_epoch", "index", "rows")
# Which column names a record.
_NAMING = {"facts": 0, "videos": 1, "places": 0}


@dataclass(frozen=True, slots=True)
class Proven:
    """A catalogue in memory.

    Attributes:
        connection: For reading, from any thread.
        epoch: Of its commit.
        bad: What was left out because it is damaged, a sentence each.
        is_last: Whether the seal says that nothing was committed later.
    """

    connection: sqlite3.Connection
    epoch: str
    bad: tuple[str, ...] = ()
    is_last: bool = True


def proven(folder: Path) -> Proven | None:
    """The catalogue of a folder as it is now; None if its seal fits at no time: then it must be `recovered`.

    Raises:
        FileNotFoundError: There is no catalogue.
        UsageError: It may not be read.
        MismatchError: A newer version has written it.
    """
    path = folder / CATALOG_FILE
    begin = last_change = time.monotonic()
    pause_s, known = _FIRST_PAUSE_S, None
    while True:
        seal = Seal.read(folder)
        if seal is None:
            return None
        content = _bytes_of(path)
        if seal.fits(content):
            with translated(path):
                return Proven(in_memory(content), seal.epoch)
        now = time.monotonic()
        if seal != known:
            known, last_change = seal, now
        is_written = writer_of(folder) and now - last_change < _IDLE_S and now - begin < _BUSY_S
        if not is_written and Seal.read(folder) == seal:
            return None
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


@contextmanager
def recovered(folder: Path) -> Iterator[sqlite3.Connection]:
    """The catalogue of a folder as SQLite finds it, with what its log holds; nothing in the folder changes.

    Raises:
        StorageError: The disk for temporary files takes no more.

    Yields:
        A connection to a copy, or to the file itself if there is no log.
    """
    path = folder / CATALOG_FILE
    log = log_of(path)
    with TemporaryDirectory(prefix="cocon-index-") as name:
        aside, how = path, "mode=ro&immutable=1"
        if log.exists() and log.stat().st_size:
            aside, how = Path(name) / path.name, "mode=rw"
            for source, copy in ((path, aside), (log, log_of(aside))):
                with storing(copy):
                    copy.write_bytes(_bytes_of(source))
        with translated(path), closing(_connected(aside, how)) as connection:
            yield connection


def written_schema(connection: sqlite3.Connection, folder: Path) -> int:
    """Which schema a catalogue has: 1 where it does not say.

    Raises:
        MismatchError: A newer version has written it.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'places'").fetchone():
        return 1
    row = connection.execute("SELECT value FROM facts WHERE key = 'schema'").fetchone()
    try:
        schema = int(json.loads(row[0]))
    except (TypeError, ValueError):
        return SCHEMA  # damaged: its checksum will say so
    check_schema(schema, folder)
    return schema


def checked(connection: sqlite3.Connection, folder: Path, *, must_be_last: bool = True) -> Proven:
    """Prove a recovered catalogue record by record.

    Args:
        connection: To it.
        folder: Of the index.
        must_be_last: Refuse one that lacks what was committed last.

    Raises:
        MismatchError: Records are missing, or what was committed last is.
    """
    named = f"catalogue '{printable(folder / CATALOG_FILE)}'"
    with translated(folder / CATALOG_FILE):
        copy = in_memory(bytearray(connection.serialize()), is_read_only=False)
        (tally,) = copy.execute("SELECT checksum FROM tally").fetchone()
        bad_facts, _ = _drop_bad(copy, "facts", FACT_COLUMNS)
        facts = dict(copy.execute("SELECT key, value FROM facts"))
        bad_facts += [f"it does not say its '{key}'" for key in _NEEDED if key not in facts]
        if bad_facts:
            raise MismatchError(f"{named} is damaged: {bad_facts[0]}; restore a backup, or index anew")
        epoch, before = json.loads(facts["epoch"]), json.loads(facts["previous_epoch"])
        seal = Seal.read(folder)
        is_last = seal is None or seal.epoch in (epoch, before)
        if must_be_last and not is_last:
            raise MismatchError(
                f"{named} lacks what was committed last, it does not belong to {SEAL_FILE}; adding the videos again "
                "brings them back, 'client index rebuild' takes it as it is"
            )
        bad_videos, videos = _drop_bad(copy, "videos", VIDEO_COLUMNS)
        bad_places, places = _drop_bad(copy, "places", PLACE_COLUMNS)
        if tally != videos ^ places and not bad_videos and not bad_places:
            raise MismatchError(
                f"{named} is damaged: records are missing; 'client index rebuild' keeps the others, adding the videos "
                "again brings them back"
            )
        copy.execute("REINDEX")
        copy.execute("DELETE FROM places WHERE video_id NOT IN (SELECT video_id FROM videos)")
        copy.execute("PRAGMA query_only = ON")
    return Proven(copy, epoch, (*bad_videos, *bad_places), is_last)


def in_memory(content: bytearray | memoryview, *, is_read_only: bool = True) -> sqlite3.Connection:
    """A database in memory of the bytes of a file, which are changed."""
    if len(content) > _HEADER_BYTES:
        content[18:20] = b"\1\1"  # not in WAL mode, which has no place in memory
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        connection.deserialize(content)
        connection.execute("PRAGMA schema_version")
        if is_read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def as_file(connection: sqlite3.Connection) -> bytearray:
    """The bytes of a file that holds what a database in memory does."""
    content = bytearray(connection.serialize())
    content[18:20] = b"\2\2"  # in WAL mode, as writers have it
    return content


@contextmanager
def any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Read texts that may be none, as a byte has changed."""
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str


def log_of(path: Path) -> Path:
    """Where SQLite keeps what is committed and not yet in the file."""
    return path.with_name(f"{path.name}-wal")


def _drop_bad(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> tuple[list[str], int]:
    """Delete the records of a table that their checksums do not fit: a sentence about each, and the tally of all."""
    bad, tally, rowids = [], 0, []
    with any_text(connection):
        for rowid, *values, checksum in connection.execute(
            f"SELECT rowid, {', '.join(columns)}, checksum FROM {table} NOT INDEXED"
        ):
            tally ^= checksum if isinstance(checksum, int) else 0
            if record_checksum(*values) != checksum:
                rowids.append([rowid])
                bad.append(f"a record of {table} ('{in_one_line(str(values[_NAMING[table]]))}') is damaged")
    connection.executemany(f"DELETE FROM {table} WHERE rowid = ?", rowids)
    return bad, tally


def _bytes_of(path: Path) -> memoryview:
    try:
        with path.open("rb", buffering=0) as stream:
            # NumPy asks for large pages, which come in a tenth of the time.
            content = np.empty(os.fstat(stream.fileno()).st_size, np.uint8).data
            size = 0
            while count := stream.readinto(content[size:]):
                size += count
        return content[:size]
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"catalogue '{printable(path)}' cannot be read: {error.strerror}") from error


def _connected(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA schema_version")
    except BaseException:
        connection.close()
        raise
    return connection
