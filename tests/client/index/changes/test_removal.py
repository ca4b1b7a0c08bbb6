"""Which videos a name means, and which are pruned; the videos are empty files."""

import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.changes.failed_files import FailedFiles
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.records import FailedFile
from cocon.core.errors import UsageError
from tests.client.index.conftest import FACTS, NUM_BLOCKS, embedding_of

Store = Callable[..., list[Path]]


@pytest.fixture
def index(tmp_path: Path) -> VideoIndex:
    (tmp_path / "index").mkdir()
    return VideoIndex(tmp_path / "index")


@pytest.fixture
def store(index: VideoIndex, tmp_path: Path) -> Store:
    """Make files and put each of them into the index, as a video of its own."""

    def stored(*names: str) -> list[Path]:
        paths = [tmp_path / name for name in names]
        with IndexWriter(index.folder, new=(FACTS, NUM_BLOCKS)) as writer:
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                Contents(writer).put(str(path), embedding_of(ascii(str(path))), label=None, overlap=0.0)
        return paths

    return stored


def names(index: VideoIndex) -> set[str]:
    return {os.path.relpath(video.video, index.folder.parent) for video in index.videos()}


def test_folders_are_told_from_names_that_begin_alike(index: VideoIndex, store: Store) -> None:
    store("v/a.mp4", "v/sub/b.mp4", "v.mp4", "v0/c.mp4", "v-/d.mp4")
    folder = index.folder.parent / "v"
    assert index.remove([folder, f"{folder}/"]) == [str(folder / "a.mp4"), str(folder / "sub/b.mp4")]
    assert names(index) == {"v.mp4", "v0/c.mp4", "v-/d.mp4"}


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_an_empty_name_means_nothing(
    index: VideoIndex, store: Store, blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = store("v/a.mp4")
    monkeypatch.chdir(path.parent)
    for refused in (lambda: index.remove([path, blank]), lambda: index.prune([blank]), lambda: index.gone([blank])):
        with pytest.raises(UsageError, match="may not be empty"):
            refused()
    with pytest.raises(UsageError, match="the whole file system"):
        index.remove([f"{blank.strip()}/"])
    assert names(index) == {"v/a.mp4"}
    assert index.remove(["."]) == [str(path)]


def test_a_name_by_a_link_is_the_same_video(index: VideoIndex, store: Store) -> None:
    real = store("real/a.mp4", "real/b.mp4", "real/c.mp4")
    root = index.folder.parent
    (root / "link").symlink_to(root / "real")
    (root / "soft.mp4").symlink_to(real[0])
    assert index.remove([root / "soft.mp4"]) == [str(real[0])]
    real[1].unlink()
    assert index.remove([root / "link" / "b.mp4"]) == [str(real[1])]
    assert index.remove([root / "link"]) == [str(real[2])]
    by_link = store("link/d.mp4")
    assert index.remove([root / "real" / "d.mp4"]) == [str(by_link[0])]
    both = store("real/e.mp4", "link/e.mp4")
    assert index.remove([both[1]]) == [str(both[1])]
    assert names(index) == {"real/e.mp4"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_that_looks_the_same_is_taken_where_no_file_has_that_very_name(
    index: VideoIndex, store: Store, form: str
) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    for is_gone in (False, True):
        (path,) = store(unicodedata.normalize(form, "é/ö.mp4"))
        given = path.parents[1] / unicodedata.normalize(other, "é/ö.mp4")
        if is_gone:
            shutil.rmtree(path.parent)
        assert index.remove([given]) == [str(path)]
        (path,) = store(unicodedata.normalize(form, "é/ö.mp4"))
        if is_gone:
            shutil.rmtree(path.parent)
        assert index.remove([given.parent]) == [str(path)]
    (path,) = store(unicodedata.normalize(form, "é/ö.mp4"))
    given.parent.mkdir()
    given.touch()
    with pytest.raises(UsageError, match="has no video"):
        index.remove([given])


def test_a_name_of_odd_bytes_is_taken_as_it_is_and_as_it_is_printed(index: VideoIndex, store: Store) -> None:
    path, *_ = store("caf\udce9.mp4", "a\nb.mp4")
    assert index.remove([path]) == [str(path)]
    assert index.remove([str(path.with_name(r"a\x0ab.mp4"))]) == [str(path.with_name("a\nb.mp4"))]


def test_pruning_forgets_what_is_gone(index: VideoIndex, store: Store) -> None:
    paths = store("v/a.mp4", "v/b.mp4", "v/sub/c.mp4", "w/d.mp4")
    with IndexWriter(index.folder) as writer, writer.transaction():
        FailedFiles(writer).note(FailedFile(str(paths[0].with_name("failed.mp4")), None, "OSError", "gone"))
    assert index.prune() == [str(paths[0].with_name("failed.mp4"))]
    paths[0].unlink()
    paths[3].unlink()
    before = {path: path.read_bytes() for path in index.folder.iterdir()}
    assert index.gone()[0] == [str(paths[0]), str(paths[3])]
    assert {path: path.read_bytes() for path in index.folder.iterdir()} == before
    assert index.prune([paths[0].parent]) == [str(paths[0])]
    shutil.rmtree(paths[2].parent)
    assert index.prune([paths[0].parent]) == [str(paths[2])], "a sub-folder of a folder that is there"
    assert names(index) == {"v/b.mp4", "w/d.mp4"}
    with pytest.raises(UsageError, match="has no video"):
        index.prune([index.folder.parent / "elsewhere"])
    assert index.verify().is_sound


@pytest.mark.parametrize("is_mount_point_left", [False, True])
def test_pruning_does_not_take_a_disk_that_is_not_mounted_for_an_empty_one(
    index: VideoIndex, store: Store, is_mount_point_left: bool
) -> None:
    paths = store("disk/a.mp4", "disk/x/b.mp4")
    disk = paths[0].parent
    shutil.move(disk, disk.with_name("away"))
    if is_mount_point_left:
        disk.mkdir()
    for folders in ([], [disk]):
        with pytest.raises(UsageError, match=r"disk may not be mounted; mount it, or .* --yes$"):
            index.prune(folders)
    assert names(index) == {"disk/a.mp4", "disk/x/b.mp4"}
    assert index.prune([disk], even_unmounted=True) == list(map(str, paths))
    assert names(index) == set()
