"""A backup is an index by itself, whatever happens meanwhile; what is broken off leaves nothing."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.core.errors import MismatchError, StorageError, UsageError
from tests.client.conftest import Client
from tests.client.index.conftest import put_videos
from tests.client.index.states import held_by, make_earlier
from tests.disks import full_disk, unwritable


def test_a_backup_is_an_index_by_itself(stored: Path, tmp_path: Path) -> None:
    target = tmp_path / "of" / "monday"
    before = held_by(open_snapshot(stored))
    with unwritable(stored):
        report = VideoIndex(stored).backup(target)
    assert (report.num_videos, report.num_clips) == (5, 15)
    shutil.rmtree(stored)
    copy = VideoIndex(target)
    assert held_by(copy.snapshot()) == before
    assert copy.verify().findings == ()
    put_videos(target, ["f"])
    assert copy.verify().findings == ()
    assert len(copy.videos()) == 6


def test_others_write_and_compact_meanwhile(stored: Path, tmp_path: Path) -> None:
    index = VideoIndex(stored)
    before = held_by(index.snapshot())

    def disturb(done: int, total: int | None) -> None:
        with IndexWriter(stored) as writer:
            Contents(writer).forget(["/videos/a"])
        put_videos(stored, ["f"])
        index.compact()

    index.backup(tmp_path / "copy", on_progress=lambda done, total: disturb(done, total) if done == total else None)
    assert held_by(open_snapshot(tmp_path / "copy")) == before
    assert VideoIndex(tmp_path / "copy").verify().findings == ()


def test_a_kill_before_the_seal_and_the_first_schema(stored: Path, tmp_path: Path) -> None:
    older = (stored / "index.json").read_bytes()
    put_videos(stored, ["f"])
    (stored / "index.json").write_bytes(older)
    VideoIndex(stored).backup(tmp_path / "copy")
    assert VideoIndex(tmp_path / "copy").verify().findings == ()
    (tmp_path / "earlier").mkdir()
    with sqlite3.connect(tmp_path / "earlier" / "catalog.sqlite") as connection:
        make_earlier(connection, ["a", "b"])
    connection.close()
    VideoIndex(tmp_path / "earlier").backup(tmp_path / "of earlier")
    found = VideoIndex(tmp_path / "of earlier").verify()
    assert (found.is_sound, found.schema, found.num_videos) == (True, 1, 2)


def test_damage_is_not_backed_up(stored: Path, tmp_path: Path) -> None:
    for pattern in ("vectors-*.f32", "blocks-*.f16"):
        (path,) = stored.glob(pattern)
        content = path.read_bytes()
        for damaged in (content[:70] + b"\xff" + content[71:], content[:-1], None):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            with pytest.raises(MismatchError, match="client index rebuild"):
                VideoIndex(stored).backup(tmp_path / "copy")
            assert not (tmp_path / "copy").exists()
            path.write_bytes(content)


def test_targets_that_are_refused(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    index = VideoIndex(stored)
    for target in (stored, stored / "copy", tmp_path / "full", tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError):
            index.backup(target)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"
    assert not (stored / "copy").exists()
    assert index.verify().findings == ()
    closed = tmp_path / "closed"
    closed.mkdir()
    with unwritable(closed), pytest.raises(UsageError):
        index.backup(closed / "copy")
    index.backup(closed)
    with pytest.raises(UsageError, match="is not empty"):
        index.backup(closed)


@pytest.mark.parametrize("max_bytes", [0, 200, 20_000])
def test_a_full_disk_leaves_nothing(stored: Path, tmp_path: Path, max_bytes: int) -> None:
    (tmp_path / "empty").mkdir()
    with full_disk(max_bytes):
        for target in (tmp_path / "copy", tmp_path / "empty"):
            with pytest.raises(StorageError):
                VideoIndex(stored).backup(target)
    assert not (tmp_path / "copy").exists()
    assert not list((tmp_path / "empty").iterdir())


def test_what_was_broken_off_is_no_index_and_gives_way(stored: Path, tmp_path: Path) -> None:
    def break_off(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "copy"
    with pytest.raises(KeyboardInterrupt):
        VideoIndex(stored).backup(target, on_progress=break_off)
    assert not target.exists()
    target.mkdir()
    (target / "vectors-00.f32").write_bytes(b"of a process that was killed")
    VideoIndex(stored).backup(target)
    assert VideoIndex(target).verify().findings == ()


def test_command(client: Client, stored: Path) -> None:
    ended = client("index", "backup", "copy", "--index", stored)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("copy: 5 videos, 15 clips, ")
    assert client("index", "backup", "copy", "--index", stored).returncode == 2
    assert json.loads(client("index", "backup", "2", "--index", stored, "--json").stdout)["num_clips"] == 15
