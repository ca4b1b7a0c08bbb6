"""What `rebuild` makes of damaged indexes: all that is sound stays, and what is not is named."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.proven import log_of
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.core.errors import CoconError, MismatchError, StorageError
from tests.client.conftest import Client
from tests.client.index.conftest import embedding_of, put_videos
from tests.client.index.power_cut import Disk, cuts, recorded
from tests.client.index.states import Held, held_by, make_earlier
from tests.disks import full_disk

NAMES = [f"/videos/{name}" for name in "abcde"]


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)


def rebuilt(folder: Path, before: Held) -> list[str]:
    """Rebuild; the paths that were dropped. Fails unless the rest is there as it was, and the result is sound."""
    index = VideoIndex(folder)
    report = index.rebuild()
    assert index.verify().findings == ()
    after = held_by(index.snapshot())
    assert {*after} == {key for key in before if key[0] not in report.dropped}
    assert all(before[key] == rows for key, rows in after.items())
    assert report.num_videos == len(after)
    assert len(report.findings) or not report.dropped
    assert [path.name for path in folder.glob("vectors-*")] == [index.snapshot().row_facts.vectors]
    return list(report.dropped)


def test_a_sound_index_stays_what_it_is(stored: Path) -> None:
    with IndexWriter(stored) as writer, writer.transaction():
        writer.put_fact("ranking", {"alpha": 0.5})
    assert rebuilt(stored, held_by(open_snapshot(stored))) == []
    assert open_snapshot(stored).fact("ranking") == {"alpha": 0.5}
    put_videos(stored, ["f"])
    assert VideoIndex(stored).videos()[-1].video_id == 6


@pytest.mark.parametrize("kind", ["vectors-*.f32", "blocks-*.f16"])
def test_rows_that_changed_or_are_gone_take_their_videos(stored: Path, kind: str) -> None:
    before = held_by(open_snapshot(stored))
    (path,) = stored.glob(kind)
    flip(path, 7 * 32 + 5)
    assert rebuilt(stored, before) == ["/videos/c"]
    before = held_by(open_snapshot(stored))
    (path,) = stored.glob(kind)
    path.write_bytes(path.read_bytes()[:-40])
    assert rebuilt(stored, before) == ["/videos/e"]
    put_videos(stored, ["c", "e"])
    assert {path for path, _ in held_by(open_snapshot(stored))} == {*NAMES}


def test_no_id_is_given_twice(stored: Path) -> None:
    (path,) = stored.glob("vectors-*.f32")
    path.write_bytes(path.read_bytes()[:-1])
    VideoIndex(stored).rebuild()
    put_videos(stored, ["e"])
    assert [video.video_id for video in VideoIndex(stored).videos()] == [1, 2, 3, 4, 6]


def test_a_file_of_rows_that_is_gone(stored: Path) -> None:
    before = held_by(open_snapshot(stored))
    next(stored.glob("blocks-*")).unlink()
    report = VideoIndex(stored).rebuild()
    assert (report.num_videos, report.dropped, report.is_complete) == (5, (), False)
    after = open_snapshot(stored)
    assert after.row_facts.blocks is None
    assert {(video.video, video.video_id) for video in after.videos()} == {*before}
    assert VideoIndex(stored).verify().findings == ()
    next(stored.glob("vectors-*")).unlink()
    assert VideoIndex(stored).rebuild().dropped == tuple(NAMES)
    assert VideoIndex(stored).verify().findings == ()


@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_a_seal_that_is_damaged_or_gone(stored: Path, damage: bytes | None) -> None:
    before = held_by(open_snapshot(stored))
    if damage is None:
        (stored / "index.json").unlink()
    else:
        (stored / "index.json").write_bytes(damage)
    assert rebuilt(stored, before) == []


def test_lost_commits_are_told(stored: Path, tmp_path: Path) -> None:
    before = held_by(open_snapshot(stored))
    older = (stored / "catalog.sqlite").read_bytes()
    put_videos(stored, ["f", "g"])
    (stored / "catalog.sqlite").write_bytes(older)
    with pytest.raises(MismatchError, match="client index rebuild"):
        open_snapshot(stored)
    report = VideoIndex(stored).rebuild()
    assert not report.is_complete
    assert held_by(open_snapshot(stored)) == before
    assert VideoIndex(stored).verify().findings == ()


def test_any_byte_of_the_catalogue(stored: Path, tmp_path: Path) -> None:
    before = held_by(open_snapshot(stored))
    size = (stored / "catalog.sqlite").stat().st_size
    refused = 0
    for position in np.random.default_rng(0).integers(0, size, 30).tolist():
        folder = Path(shutil.copytree(stored, tmp_path / "damaged"))
        flip(folder / "catalog.sqlite", position)
        try:
            rebuilt(folder, before)
        except CoconError as error:  # of what says what all the rest is
            assert "\n" not in str(error)
            refused += 1
        shutil.rmtree(folder)
    assert refused < 5


def test_a_page_that_is_gone_takes_what_was_on_it(stored: Path) -> None:
    names = [f"v{number}" for number in range(60)]
    put_videos(stored, names)
    before = held_by(open_snapshot(stored))
    content = (stored / "catalog.sqlite").read_bytes()
    (page,) = {content.index(embedding_of("v30").content_sha256.encode()) // 4096}
    damaged = content[: page * 4096] + b"\xee" * 4096 + content[(page + 1) * 4096 :]
    (stored / "catalog.sqlite").write_bytes(damaged)
    with pytest.raises(MismatchError):
        open_snapshot(stored)
    dropped = rebuilt(stored, before)
    assert 0 < len(dropped) < 30


def test_what_a_log_still_holds_is_kept(stored: Path) -> None:
    """A writer was killed before what it had committed came into the catalogue."""
    path = stored / "catalog.sqlite"
    seal, catalog = (stored / "index.json").read_bytes(), path.read_bytes()
    with sqlite3.connect(path, isolation_level=None) as reader, IndexWriter(stored) as writer:
        reader.execute("SELECT count(*) FROM videos")  # keeps the log
        Contents(writer).put("/videos/f", embedding_of("f"), label=None, overlap=0.0)
        log = log_of(path).read_bytes()
    reader.close()
    newer = path.read_bytes()
    pages = [(newer, catalog)[page % 2][4096 * page : 4096 * (page + 1)] for page in range(len(newer) // 4096)]
    (stored / "index.json").write_bytes(seal)
    path.write_bytes(b"".join(pages))
    log_of(path).write_bytes(log)
    before = held_by(open_snapshot(stored))
    assert len(before) == 6
    assert rebuilt(stored, before) == []
    assert not log_of(path).exists()


def test_an_index_of_the_first_schema(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        make_earlier(connection, ["a", "b"])
        connection.execute("UPDATE clips SET vector = zeroblob(length(vector)) WHERE video_id = 2")
    connection.close()
    report = VideoIndex(tmp_path).rebuild()
    assert report.dropped == ("/videos/b",)
    assert VideoIndex(tmp_path).verify().schema == 2
    assert [video.video for video in VideoIndex(tmp_path).videos()] == ["/videos/a"]


def test_no_catalogue_at_all_is_refused_and_nothing_changes(client: Client, stored: Path) -> None:
    (stored / "catalog.sqlite").write_bytes(b"no database" * 999)
    before = {path.name: path.read_bytes() for path in stored.iterdir()}
    ended = client("index", "rebuild", "--index", stored)
    assert (ended.returncode, ended.stdout) == (5, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "restore a backup" in ended.stderr
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == before


@pytest.mark.parametrize("max_bytes", [0, 200, 20_000])
def test_a_full_disk_leaves_it_as_it_was(stored: Path, max_bytes: int) -> None:
    before = held_by(open_snapshot(stored))
    with full_disk(max_bytes), pytest.raises(StorageError):
        VideoIndex(stored).rebuild()
    assert held_by(open_snapshot(stored)) == before
    assert not list(stored.glob(".*"))


@pytest.mark.slow
def test_a_power_cut_at_any_moment_leaves_the_old_one_or_the_new_one(stored: Path, tmp_path: Path) -> None:
    before = held_by(open_snapshot(stored))
    (path,) = stored.glob("vectors-*.f32")
    flip(path, 0)
    disk = Disk(stored)
    disk.load()
    code = f"from cocon.client import VideoIndex; VideoIndex({str(stored)!r}).rebuild()"
    seen = set()
    for _ in cuts(disk, recorded(["-c", code], tmp_path / "calls.txt"), tmp_path / "cut"):
        snapshot = open_snapshot(tmp_path / "cut")
        seen.add((len(snapshot.videos()), len(snapshot.unsound)))
        is_new = len(snapshot.videos()) == 4
        index = VideoIndex(tmp_path / "cut")
        assert index.verify().is_sound == is_new
        if is_new:
            assert held_by(snapshot) == {key: rows for key, rows in before.items() if key[0] != "/videos/a"}
    assert seen == {(5, 1), (4, 0)}


def test_command(client: Client, stored: Path) -> None:
    (path,) = stored.glob("vectors-*.f32")
    flip(path, 0)
    ended = client("index", "rebuild", "--index", stored)
    assert ended.returncode == 3
    assert "dropped: /videos/a\n" in ended.stdout
    assert ended.stdout.endswith("4 videos kept, 1 dropped; 'client index add' brings back what is dropped\n")
    told = json.loads(client("index", "rebuild", "--index", stored, "--json").stdout)
    assert told == {"index": str(stored), "num_videos": 4, "dropped": [], "findings": []}
