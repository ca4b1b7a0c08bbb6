import os
import shutil
from pathlib import Path

import pytest

from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.changes.missing_files import doubtful_folders, is_gone, is_surely_gone


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "disk" / name for name in ("x/a.mp4", "x/b.mp4", "y/c.mp4")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def doubts(files: list[Path], *, stamps: bool = False) -> dict[str, int]:
    gone = [str(path) for path in files if is_gone(str(path))]
    stamp = FileStamp.of("/") if stamps else None
    return doubtful_folders(dict.fromkeys(gone, stamp), [str(path) for path in files if str(path) not in gone])


def test_what_is_no_file_is_gone_and_what_cannot_be_reached_is_not(files: list[Path]) -> None:
    files[0].unlink()
    files[1].unlink()
    files[1].mkdir()
    loop = files[0].with_name("loop")
    loop.symlink_to(loop)
    assert [is_gone(str(path)) for path in (*files, files[2] / "in a file.mp4", loop)] == [
        True, True, False, True, False,
    ]  # fmt: skip


def test_a_file_of_a_folder_with_others_is_surely_gone(files: list[Path]) -> None:
    files[0].unlink()
    assert is_surely_gone(str(files[0]))
    assert doubts(files) == {}
    files[1].unlink()
    assert not is_surely_gone(str(files[0])), "an empty folder may be where a disk was"
    assert doubts(files) == {str(files[0].parent): 2}
    stamp = FileStamp.of(str(files[2]))
    assert doubtful_folders(dict.fromkeys(map(str, files[:2]), stamp), ()) == {}, "the same disk is still there"


def test_a_folder_beside_others_is_surely_gone_and_one_that_held_all_is_not(files: list[Path]) -> None:
    shutil.rmtree(files[0].parent)
    assert doubts(files) == {}
    shutil.rmtree(files[2].parent)
    root = files[0].parents[1]
    assert doubts(files) == {str(root / "x"): 2, str(root / "y"): 1}
    root.rmdir()
    assert doubts(files) == {str(root): 3}


def test_links_to_a_disk_are_not_mistaken_for_it(files: list[Path], tmp_path: Path) -> None:
    links = [tmp_path / "links" / path.name for path in files]
    links[0].parent.mkdir()
    for link, path in zip(links, files, strict=True):
        link.symlink_to(path)
    files[0].unlink()
    assert doubts(links) == {}
    shutil.rmtree(files[0].parents[1])
    assert os.listdir(links[0].parent)  # noqa: PTH208
    assert doubts(links) == {str(files[0].parents[1]): 3}
