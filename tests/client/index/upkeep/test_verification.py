"""What `verify` finds: every damage that counts, and no more."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.seal import Seal
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.upkeep.findings import Verification
from cocon.core.errors import MismatchError
from tests.client.conftest import Client
from tests.client.index.conftest import embedding_of, put_videos
from tests.client.index.states import make_earlier
from tests.disks import unwritable


def found_in(folder: Path) -> Verification:
    return VideoIndex(folder).verify()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_sound_index_is_sound_and_stays_as_it_is(stored: Path) -> None:
    before = files_of(stored)
    with unwritable(stored):
        found = found_in(stored)
    assert (found.is_sound, found.num_videos, found.num_places, found.num_clips) == (True, 5, 5, 15)
    assert found.findings == ()
    assert files_of(stored) == before


def test_progress_counts_vectors_and_blocks(stored: Path) -> None:
    told: list[tuple[int, int | None]] = []
    VideoIndex(stored).verify(on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (30, 30)


@pytest.mark.parametrize("pattern", ["catalog.sqlite", "index.json", "vectors-*.f32", "blocks-*.f16"])
def test_every_changed_byte_is_found(stored: Path, pattern: str) -> None:
    (path,) = stored.glob(pattern)
    content, seal = path.read_bytes(), Seal.read(stored)
    rng = np.random.default_rng(len(content))
    for position in rng.integers(0, len(content), 60).tolist():
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            is_harmless = path.suffix == ".json" and Seal.read(stored) == seal
        except MismatchError:  # the byte was the number of the schema, which is now that of a newer version
            with pytest.raises(MismatchError, match="newer version"):
                found_in(stored)
            continue
        assert found_in(stored).is_sound == is_harmless, position
    path.write_bytes(content)
    assert found_in(stored).is_sound


def test_a_seal_of_a_newer_version_is_refused(stored: Path) -> None:
    path = stored / "index.json"
    seal = json.loads(path.read_text())
    path.write_text(json.dumps(seal | {"schema": seal["schema"] + 4}))
    with pytest.raises(MismatchError, match="newer version"):
        found_in(stored)


@pytest.mark.parametrize("pattern", ["catalog.sqlite", "index.json", "vectors-*.f32", "blocks-*.f16"])
def test_every_cut_is_found(stored: Path, pattern: str) -> None:
    (path,) = stored.glob(pattern)
    content = path.read_bytes()
    for size in np.linspace(0, len(content) - 2, 12).astype(int).tolist():
        path.write_bytes(content[:size])
        assert not found_in(stored).is_sound, size
    if path.name != "catalog.sqlite":
        path.unlink()
        assert found_in(stored).is_sound == (path.name == "index.json")


def test_a_damaged_row_names_its_video_and_clip(stored: Path) -> None:
    (path,) = stored.glob("vectors-*.f32")
    content = bytearray(path.read_bytes())
    content[4 * 32] ^= 1  # row 4: clip 1 of b
    path.write_bytes(content)
    (finding,) = found_in(stored).findings
    assert finding.message == "1 of 3 clips of '/videos/b' are damaged (clip 1)"
    assert found_in(stored).damaged == ("/videos/b",)


def test_leftovers_and_uncommitted_rows_are_notes(stored: Path) -> None:
    (path,) = stored.glob("vectors-*.f32")
    path.write_bytes(path.read_bytes() + bytes(7))
    (stored / "vectors-00.f32").write_bytes(b"left")
    (stored / ".catalog.sqlite.1.partial").write_bytes(b"left")
    found = found_in(stored)
    assert found.is_sound
    assert sorted(finding.file for finding in found.findings) == sorted(
        [path.name, "vectors-00.f32", ".catalog.sqlite.1.partial"]
    )


def test_a_kill_before_the_seal_is_no_damage_and_an_older_catalogue_is(stored: Path, tmp_path: Path) -> None:
    older = shutil.copytree(stored, tmp_path / "older")
    put_videos(stored, ["f"])
    seal = stored / "index.json"
    newest = seal.read_bytes()
    seal.write_bytes((older / "index.json").read_bytes())
    found = found_in(stored)
    assert found.is_sound
    assert [finding.file for finding in found.findings] == ["index.json"]
    seal.write_bytes(newest)
    put_videos(stored, ["g"])
    shutil.copy(older / "catalog.sqlite", stored)
    found = found_in(stored)
    assert not found.is_sound
    assert "committed last" in found.findings[0].message


def test_it_works_while_somebody_writes(stored: Path) -> None:
    with IndexWriter(stored) as writer:
        contents = Contents(writer)
        for name in ("f", "g", "h"):
            video = embedding_of(name)
            contents.put(video.video, video, label=None, overlap=0.0)
            assert found_in(stored).is_sound
        assert found_in(stored).num_videos == 8


def test_a_record_that_is_wrong_in_itself_is_found(stored: Path) -> None:
    with IndexWriter(stored) as writer, writer.transaction() as connection:
        connection.execute("UPDATE videos SET num_frames = 7 WHERE video_id = 2")
        connection.execute("DELETE FROM places WHERE path = '/videos/e'")
    found = found_in(stored)
    assert {finding.message for finding in found.findings if finding.is_error} >= {
        "the record of '/videos/b' is damaged"
    }
    assert found.damaged == ("/videos/b",)
    assert any("no place" in finding.message for finding in found.findings)


def test_no_database_is_one_finding(stored: Path) -> None:
    (stored / "catalog.sqlite").write_bytes(b"no database" * 100)
    (finding,) = found_in(stored).findings
    assert "\n" not in finding.message
    assert "client index rebuild" in finding.message


def test_an_index_of_the_first_schema(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        make_earlier(connection, ["a", "b"])
    connection.close()
    found = found_in(tmp_path)
    assert (found.is_sound, found.schema, found.num_videos, found.num_clips) == (True, 1, 2, 6)
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        connection.execute("UPDATE clips SET vector = zeroblob(length(vector)) WHERE video_id = 2 AND clip = 1")
    connection.close()
    assert "/videos/b" in found_in(tmp_path).findings[0].message


def test_command(client: Client, stored: Path) -> None:
    ended = client("index", "verify", "--index", stored)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{stored}: sound: 5 videos at 5 places, 15 clips, 15 rows\n"
    (path,) = stored.glob("vectors-*.f32")
    path.write_bytes(path.read_bytes()[:-1])
    ended = client("index", "verify", "--index", stored)
    assert ended.returncode == 5
    assert f"damaged: {path.name}: is cut short: 479 bytes of 480\n" in ended.stdout
    ended = client("index", "verify", "--index", stored, "--json")
    assert ended.returncode == 5
    assert not json.loads(ended.stdout)["is_sound"]
    ended = client("index", "verify", "--index", stored / "none")
    assert (ended.returncode, ended.stdout) == (2, "")
    (stored / "catalog.sqlite").unlink()
    for command in ("verify", "stats", "rebuild", "compact"):
        ended = client("index", command, "--index", stored)
        assert (ended.returncode, ended.stdout) == (5, "")
        assert "has lost its 'catalog.sqlite'; restore a backup" in ended.stderr


def test_figures(client: Client, stored: Path) -> None:
    with IndexWriter(stored) as writer:
        Contents(writer).forget(["/videos/b"])
    figures = VideoIndex(stored).statistics()
    assert (figures.num_videos, figures.num_places, figures.num_clips, figures.num_dead) == (4, 4, 12, 3)
    assert (figures.schema, figures.num_blocks, figures.lists) == (2, 2, None)
    assert figures.total_bytes == sum(path.stat().st_size for path in stored.iterdir() if path.name != "writer.lock")
    told = json.loads(client("index", "stats", "--index", stored, "--json").stdout)
    assert (told["num_dead"], told["views"], told["way"]) == (3, ["rgb"], "exact: every vector is compared")
    assert "num_dead" in client("index", "stats", "--index", stored).stdout
