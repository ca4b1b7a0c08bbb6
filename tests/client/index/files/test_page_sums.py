import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cocon.client.index.files.checksums import content_checksum
from cocon.client.index.files.page_sums import PageSums
from cocon.client.index.files.proven import log_of


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


def test_what_a_log_brings_is_looked_at_and_nothing_else_is(catalog: Path) -> None:
    rng = np.random.default_rng(0)
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        for sql in ("journal_mode = WAL", "wal_autocheckpoint = 0"):
            connection.execute(f"PRAGMA {sql}").fetchone()
        connection.execute("CREATE TABLE t (x BLOB)")
        connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        sums = PageSums(catalog)
        for number in range(40):
            match rng.integers(4):
                case 0 | 1:
                    connection.execute("INSERT INTO t VALUES (?)", [rng.bytes(int(rng.integers(20_000)))])
                case 2:
                    connection.execute("DELETE FROM t WHERE rowid % 5 = ?", [int(rng.integers(5))])
                case _:
                    connection.execute("VACUUM")  # the file becomes smaller
            connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            content = catalog.read_bytes()
            sums.take_log(log_of(catalog))
            assert (sums.checksum, sums.num_bytes) == (content_checksum(content), len(content)), number
        with catalog.open("r+b") as stream:  # a disk that forgets
            stream.seek(-10, os.SEEK_END)
            stream.write(b"x")
        connection.execute("UPDATE t SET x = x'00' WHERE rowid = (SELECT min(rowid) FROM t)")
        connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        assert sums.take_log(log_of(catalog)).checksum != content_checksum(catalog.read_bytes())


def test_a_header_that_has_changed_is_noticed(catalog: Path) -> None:
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x)")
        sums = PageSums(catalog)
        assert not sums.take_header()
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        assert sums.take_header()
        assert not sums.take_header()
        assert sums.checksum == content_checksum(catalog.read_bytes())
