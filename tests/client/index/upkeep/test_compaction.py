"""A compaction changes nothing but the size, at whatever moment it ends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.checksums import content_checksum
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.search.lists import rules as lists_rules
from cocon.core.errors import MismatchError, StorageError, UsageError
from cocon.core.folder_lock import folder_lock
from tests.client.conftest import Client
from tests.client.index.conftest import embedding_of, put_videos
from tests.client.index.power_cut import Disk, cuts, recorded
from tests.client.index.states import held_by
from tests.disks import full_disk


@pytest.fixture
def dead(stored: Path) -> Path:
    """An index of which two videos were removed."""
    with IndexWriter(stored) as writer:
        Contents(writer).forget(["/videos/a", "/videos/d"])
    return stored


def test_rows_go_and_everything_else_stays(dead: Path) -> None:
    index = VideoIndex(dead)
    reader = index.snapshot()
    before, vectors = held_by(reader), reader.vectors
    report = index.compact()
    assert (report.num_clips, report.num_dropped) == (9, 6)
    assert report.bytes_after < report.bytes_before
    after = index.snapshot()
    assert len(after.vectors) == 9
    assert held_by(after) == before
    assert index.verify().findings == ()
    assert held_by(reader) == before, "who has opened the old files goes on with them"
    assert len(vectors) == 15
    put_videos(dead, ["f"])
    assert [video.video_id for video in index.videos()] == [2, 3, 5, 6]


def test_it_can_be_done_again_and_of_an_empty_index(dead: Path) -> None:
    index = VideoIndex(dead)
    index.compact()
    vectors = index.snapshot().row_facts
    assert index.compact().num_dropped == 0
    assert index.snapshot().row_facts == vectors
    with IndexWriter(dead) as writer:
        Contents(writer).forget([video.video for video in index.videos()])
    assert index.compact().num_dropped == 9
    assert index.statistics().num_dead == 0
    assert index.verify().findings == ()


def test_the_catalogue_shrinks(stored: Path) -> None:
    index = VideoIndex(stored)
    put_videos(stored, [f"v{number}" for number in range(60)])
    with IndexWriter(stored) as writer:
        Contents(writer).forget([video.video for video in index.videos()][1:])
    size = (stored / "catalog.sqlite").stat().st_size
    index.compact()
    assert (stored / "catalog.sqlite").stat().st_size < size


@pytest.mark.parametrize("max_bytes", [0, 200, 4096, 20_000])
def test_a_full_disk_leaves_it_as_it_was(dead: Path, max_bytes: int) -> None:
    before = held_by(open_snapshot(dead))
    with full_disk(max_bytes), pytest.raises(StorageError):
        VideoIndex(dead).compact()
    assert held_by(open_snapshot(dead)) == before
    assert VideoIndex(dead).verify().is_sound
    VideoIndex(dead).compact()
    assert held_by(open_snapshot(dead)) == before


@pytest.mark.slow
def test_a_power_cut_at_any_moment_loses_nothing(dead: Path, tmp_path: Path) -> None:
    before = held_by(open_snapshot(dead))
    disk = Disk(dead)
    disk.load()
    code = f"from cocon.client import VideoIndex; print(VideoIndex({str(dead)!r}).compact().num_dropped)"
    calls = recorded(["-c", code], tmp_path / "calls.txt")
    sizes = set()
    for _ in cuts(disk, calls, tmp_path / "cut"):
        snapshot = open_snapshot(tmp_path / "cut")
        assert held_by(snapshot) == before
        assert VideoIndex(tmp_path / "cut").verify().is_sound
        sizes.add(len(snapshot.vectors))
    assert sizes == {15, 9}


def test_damage_is_not_compacted_away(dead: Path) -> None:
    (path,) = dead.glob("vectors-*.f32")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MismatchError, match="cut short; 'client index rebuild'"):
        VideoIndex(dead).compact()
    assert [found.name for found in dead.glob("vectors-*")] == [path.name]


def test_another_writer_is_waited_for_or_named(dead: Path) -> None:
    with folder_lock(dead, "index"), pytest.raises(UsageError, match="is being written by process"):
        VideoIndex(dead).compact()


def test_command(client: Client, dead: Path) -> None:
    ended = client("index", "compact", "--index", dead)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{dead}: 6 rows dropped, 9 kept; ")
    assert json.loads(client("index", "compact", "--index", dead, "--json").stdout)["num_dropped"] == 0
    assert client("index", "compact", "--index", dead / "none").returncode == 2


def test_lists_of_a_large_index_are_made_with_it(dead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists_rules, "_MIN_VALUES", 1)
    index = VideoIndex(dead)
    with IndexWriter(dead) as writer:
        contents = Contents(writer)
        for number in range(120):
            video = embedding_of(f"v{number}", num_clips=20)
            contents.put(video.video, video, label=None, overlap=0.0)
    before = held_by(index.snapshot())
    index.compact()
    assert held_by(index.snapshot()) == before
    lists = index.statistics().lists
    assert lists is not None
    assert lists["covered_rows"] == 2409
    assert index.statistics().way.startswith("exact: ") == (lists["file"] is None)
    assert index.verify().findings == ()
    if lists["file"] is None:  # none help: it is said why, and not found out again
        assert lists["why_none"]
        with IndexWriter(dead) as writer:
            Contents(writer).forget(["/videos/v119"])
            with writer.transaction():
                writer.put_fact("lists", {**lists, "why_none": "so it was"})
        index.compact()
        lists = index.statistics().lists
        assert lists is not None
        assert (lists["why_none"], lists["covered_rows"]) == ("so it was", 2389)
        with IndexWriter(dead) as writer, writer.transaction():
            (dead / "lists-0.faiss").write_bytes(b"lists")
            writer.put_fact("lists", {**lists, "file": "lists-0.faiss", "checksum": content_checksum(b"lists")})
    assert index.verify().findings == ()
    index.backup(tmp_path / "copy")
    assert VideoIndex(tmp_path / "copy").verify().findings == ()
    (path,) = dead.glob("lists-*.faiss")
    path.write_bytes(path.read_bytes()[:-1])
    (finding,) = index.verify().findings
    assert finding.message.startswith("is damaged; every vector is compared until")
    with pytest.raises(MismatchError, match=path.name):
        index.backup(tmp_path / "another")
    path.unlink()
    assert "is missing" in index.verify().findings[0].message
    index.compact()  # which has no rows to drop
    assert index.verify().findings == ()


def test_lists_of_another_release_are_forgotten(dead: Path) -> None:
    index = VideoIndex(dead)
    for expected in (6, 0):
        with IndexWriter(dead) as writer, writer.transaction():
            writer.put_fact("lists", {"file": "lists-0.faiss", "colour": "red"})
        assert not index.verify().is_sound
        assert index.compact().num_dropped == expected
        assert index.verify().findings == ()


def test_a_verification_goes_on_when_files_are_replaced(dead: Path) -> None:
    index = VideoIndex(dead)

    def disturb(done: int, total: int | None) -> None:
        if len(list(dead.glob("vectors-*"))) == 1 and index.statistics().num_dead:
            index.compact()

    found = index.verify(on_progress=disturb)
    assert (found.findings, found.total_rows) == ((), 9)


@pytest.mark.parametrize("change", [VideoIndex.compact, VideoIndex.rebuild])
def test_what_is_interrupted_leaves_nothing(dead: Path, change: Callable[..., object]) -> None:
    before = {path.name: path.read_bytes() for path in dead.iterdir()}

    def break_off(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change(VideoIndex(dead), on_progress=break_off)
    assert {path.name: path.read_bytes() for path in dead.iterdir()} == before
