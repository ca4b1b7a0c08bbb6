"""Indexes of the first schema are read as they are, and brought into today's form by the first writer."""

import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.core.errors import MismatchError
from tests.client.index.files.test_damage import answers
from tests.disks import unwritable

_RELEASED = Path(__file__).parents[3] / "released" / "released.tar.xz"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index as the last release wrote it; not to be written to."""
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(_RELEASED) as archive:
        members = [member for member in archive if Path(member.name).parent.name == "index"]
        archive.extractall(folder, members, filter="data")
    return folder / "index"


@pytest.fixture
def earlier(released: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(released, tmp_path / "index"))


def migrate(folder: Path) -> None:
    with IndexWriter(folder):
        pass


def stored_before(folder: Path) -> dict[str, list[tuple[float, ...]]]:
    """What its catalogue says, read by plain SQL."""
    found: dict[str, list[tuple[float, ...]]] = {}
    with closing(sqlite3.connect(f"file:{folder / 'catalog.sqlite'}?immutable=1", uri=True)) as connection:
        for path, start, end, vector in connection.execute(
            "SELECT path, start_seconds, end_seconds, vector FROM clips JOIN videos USING (video_id) ORDER BY clip_id"
        ):
            found.setdefault(path, []).append((start, end, *np.frombuffer(vector, "<f4").tolist()))
    return found


def test_it_is_read_as_it_is_and_nothing_is_written(earlier: Path) -> None:
    before = {path: path.read_bytes() for path in earlier.iterdir()}
    with unwritable(earlier):
        snapshot = open_snapshot(earlier)
        assert answers(snapshot) == stored_before(earlier)
        assert len(snapshot.videos()) > 5
        assert not snapshot.have_sound_blocks(np.array([0])).any()
    assert {path: path.read_bytes() for path in earlier.iterdir()} == before


def test_the_first_writer_brings_it_over_with_all_that_it_holds(earlier: Path) -> None:
    before = open_snapshot(earlier)
    expected, videos = answers(before), before.videos()
    migrate(earlier)
    after = open_snapshot(earlier)
    assert answers(after) == expected
    assert after.videos() == videos
    assert (after.facts, after.fact("made_by")) == (before.facts, before.fact("made_by"))
    assert sorted(path.name.split("-")[0] for path in earlier.iterdir()) == [
        "catalog.sqlite", "index.json", "vectors", "writer.lock",
    ]  # fmt: skip


def test_what_a_killed_writer_has_left_in_its_log_is_brought_over(earlier: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(earlier / "catalog.sqlite", isolation_level=None)) as writer:
        writer.execute("PRAGMA foreign_keys = ON")
        writer.execute("DELETE FROM videos WHERE video_id > 2")
        killed = Path(shutil.copytree(earlier, tmp_path / "killed"))
    assert (killed / "catalog.sqlite-wal").stat().st_size
    with unwritable(killed):
        expected = answers(open_snapshot(killed))
    assert len(expected) == 2
    migrate(killed)
    assert answers(open_snapshot(killed)) == expected


def test_a_migration_that_was_killed_is_made_again(earlier: Path, tmp_path: Path) -> None:
    """Its states: rows written; the new catalogue in place; its seal too."""
    expected = answers(open_snapshot(earlier))
    whole = Path(shutil.copytree(earlier, tmp_path / "whole"))
    migrate(whole)
    (vectors,) = whole.glob("vectors-*")
    shutil.copy(vectors, earlier)
    rows_alone = Path(shutil.copytree(earlier, tmp_path / "rows"))
    (rows_alone / ".catalog.sqlite.123.partial").write_bytes(b"half")
    shutil.copy(whole / "catalog.sqlite", earlier)
    for folder in (rows_alone, earlier):
        assert answers(open_snapshot(folder)) == expected
        migrate(folder)
        assert answers(open_snapshot(folder)) == expected
        assert len(list(folder.iterdir())) == 4


def test_an_unsound_vector_costs_its_video_alone(earlier: Path) -> None:
    with closing(sqlite3.connect(earlier / "catalog.sqlite", isolation_level=None)) as connection:
        (dim,) = connection.execute("SELECT length(vector) FROM clips").fetchone()
        connection.execute("UPDATE clips SET vector = ? WHERE clip_id = 3", [np.full(dim // 4, 3, "<f4").tobytes()])
        (path,) = connection.execute("SELECT path FROM videos JOIN clips USING (video_id) WHERE clip_id = 3").fetchone()
    snapshot = open_snapshot(earlier)
    assert path not in {video.video for video in snapshot.videos()}
    assert len(snapshot.bad) == 1 and path in snapshot.bad[0] and "off unit length" in snapshot.bad[0]


def test_what_does_not_say_what_it_was_made_for_is_refused(earlier: Path) -> None:
    with closing(sqlite3.connect(earlier / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("DELETE FROM facts WHERE key = 'index'")
    with pytest.raises(MismatchError, match="does not say what it was made for"):
        open_snapshot(earlier)
    with pytest.raises(MismatchError, match="does not say what it was made for"):
        migrate(earlier)


def test_a_migrated_index_takes_more(earlier: Path) -> None:
    num_before = len(open_snapshot(earlier).videos())
    with IndexWriter(earlier) as writer:
        (path,) = writer.select("SELECT path FROM places LIMIT 1")[0]
        Contents(writer).forget([path])
    assert len(open_snapshot(earlier).videos()) == num_before - 1
