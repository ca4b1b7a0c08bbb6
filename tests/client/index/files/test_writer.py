"""A writer that dies at any moment of a commit: readers and the next writer find a whole index."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.core.errors import MismatchError, UsageError
from cocon.core.folder_lock import LOCK_FILE
from tests.client.index.conftest import embedding_of, put_videos
from tests.client.index.files.test_damage import answers

_LOCK = shutil.ignore_patterns(LOCK_FILE)  # it names this process, which lives

OLD, NEW = ["a", "b", "c", "d", "e"], "new"


class Watched(IndexWriter):
    """Copies the folder as a kill would leave it: when SQLite has committed, and when the catalogue is written."""

    aside: Path | None = None

    def _finish(self) -> None:
        if self.aside is not None and not self._is_sealed:
            shutil.copytree(self.folder, self.aside / "committed", ignore=_LOCK)
            self.connection.execute("PRAGMA wal_checkpoint(FULL)")
            shutil.copytree(self.folder, self.aside / "written", ignore=_LOCK)
        super()._finish()


@pytest.fixture
def killed(stored: Path, tmp_path: Path) -> Path:
    """Folders `before`, `committed`, `written`, `after` of a commit of one more video."""
    aside = tmp_path / "states"
    shutil.copytree(stored, aside / "before")
    with Watched(stored) as writer:
        writer.aside = aside
        video = embedding_of(NEW)
        Contents(writer).put(video.video, video, label=None, overlap=0.0)
        writer.aside = None
    shutil.copytree(stored, aside / "after")
    return aside


def names_in(folder: Path) -> list[str]:
    return sorted(Path(video).name for video in answers(open_snapshot(folder)))


def test_an_acknowledged_video_is_there_and_another_may_be(killed: Path) -> None:
    found = {state: names_in(killed / state) for state in ("before", "committed", "written", "after")}
    assert found == {"before": OLD, "committed": OLD, "written": sorted([*OLD, NEW]), "after": sorted([*OLD, NEW])}
    for state in found:
        put_videos(killed / state, ["later"])
        assert {*OLD, "later"} <= set(names_in(killed / state)) <= {*OLD, "later", NEW}
        assert not list((killed / state).glob("*-wal"))


def half_written(killed: Path) -> Iterator[bytes]:
    """The catalogue when only some of its new pages are written, one more at a time."""
    before, after = ((killed / state / "catalog.sqlite").read_bytes() for state in ("before", "after"))
    for end in range(0, len(after), 4096):
        yield after[:end] + before[end:]


def test_a_kill_while_the_catalogue_is_written_leaves_the_log_to_recover_it_from(killed: Path) -> None:
    folder = killed / "committed"
    for content in half_written(killed):
        (folder / "catalog.sqlite").write_bytes(content)
        assert set(OLD) <= set(names_in(folder)) <= {*OLD, NEW}
        again = Path(shutil.copytree(folder, killed / "again"))
        put_videos(again, ["later"])
        assert {*OLD, "later"} <= set(names_in(again))
        shutil.rmtree(again)


def test_a_damaged_log_undoes_nothing(killed: Path) -> None:
    """Frames of it that are read alone would undo what is in the catalogue."""
    for state in ("committed", "written"):
        log = killed / state / "catalog.sqlite-wal"
        content = log.read_bytes()
        for position in np.random.default_rng(1).integers(0, len(content), 40).tolist():
            log.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
            assert set(OLD) <= set(names_in(killed / state)) <= {*OLD, NEW}
        put_videos(killed / state, ["later"])
        assert {*OLD, "later"} <= set(names_in(killed / state))


def test_an_older_catalogue_is_refused_to_readers_and_a_writer_goes_on_from_it(
    stored: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = stored / "catalog.sqlite"
    older = catalog.read_bytes()
    put_videos(stored, ["lost"])
    put_videos(stored, ["lost too"])
    catalog.write_bytes(older)
    with pytest.raises(MismatchError, match="lacks what was committed last"):
        open_snapshot(stored)
    with caplog.at_level(logging.WARNING):
        put_videos(stored, ["other"])
    assert "is an older one" in caplog.text
    expected = {embedding_of(name).video: embedding_of(name).embedding for name in [*OLD, "other"]}
    found = answers(open_snapshot(stored))
    assert {video: [numbers[2:] for numbers in moments] for video, moments in found.items()} == {
        video: [tuple(vector) for vector in vectors.tolist()] for video, vectors in expected.items()
    }


def test_a_failed_transaction_leaves_nothing(stored: Path) -> None:
    with IndexWriter(stored) as writer:
        with pytest.raises(ValueError, match="on purpose"), writer.transaction() as connection:
            writer.append(embedding_of("x").embedding, None)
            connection.execute("DELETE FROM videos")
            raise ValueError("on purpose")
        assert writer.row_facts.total_rows == 15
    assert names_in(stored) == OLD


def test_leftovers_of_dead_writers_go_and_other_files_stay(stored: Path) -> None:
    left = ("vectors-0a.f32", "blocks-0b.f16", "lists-0c.faiss", ".catalog.sqlite.1.partial", ".index.json.77.partial")
    for name in (*left, "notes.txt", "vectors.csv"):
        (stored / name).write_bytes(b"x")
    kept = {path.name for path in stored.iterdir()} - set(left)
    assert names_in(stored) == OLD, "a reader removes nothing"
    assert kept < {path.name for path in stored.iterdir()}
    put_videos(stored, ["f"])
    assert {path.name for path in stored.iterdir()} == kept


def test_the_second_writer_is_refused_or_waits(stored: Path) -> None:
    with IndexWriter(stored), pytest.raises(UsageError, match="is being written by process"):
        IndexWriter(stored, wait_s=0.05)


def test_an_index_of_a_newer_version_is_refused_in_one_line(stored: Path) -> None:
    with IndexWriter(stored) as writer, writer.transaction():
        writer.put_fact("schema", 3)
    (stored / "index.json").unlink()
    for open_it in (open_snapshot, IndexWriter):
        with pytest.raises(MismatchError, match=r"newer version of cocon \(schema 3, this one knows 2\); update cocon"):
            open_it(stored)


def test_a_content_that_has_lost_its_last_place_is_not_found(stored: Path) -> None:
    before = open_snapshot(stored)
    with IndexWriter(stored) as writer:
        Contents(writer).move(4, "/videos/b", label=None, stamp=None)
        between = open_snapshot(stored, before)
        assert between.rows.video_ids.tolist() == [1, 3, 4, 5]
        Contents(writer).move(2, "/videos/d", label=None, stamp=None)
    assert open_snapshot(stored, between).rows.video_ids.tolist() == [1, 2, 3, 4, 5]
