"""Arrays of npz archives: small ones in memory, large ones on disk, damaged ones nowhere."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from cocon.video.store.archive import read_array

LARGE = (70, 1024, 1024)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "arrays.npz"
    ramp = np.arange(LARGE[0], dtype=np.uint8)[:, None, None]
    np.savez_compressed(path, large=np.broadcast_to(ramp, LARGE), small=np.eye(3), objects=np.array([{}, []], object))
    return path


def test_small_arrays_come_back(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        small = read_array(opened, "small")
        assert small is not None
        assert np.array_equal(small, np.eye(3))
        assert read_array(opened, "absent") is None


def test_a_large_array_stays_on_disk_and_gives_signs_of_life(archive: Path) -> None:
    signs: list[None] = []
    with zipfile.ZipFile(archive) as opened:
        large = read_array(opened, "large", on_progress=lambda: signs.append(None))
    assert isinstance(large, np.memmap)
    assert large.shape == LARGE
    assert [int(large[index, -1, -1]) for index in (0, 37, 69)] == [0, 37, 69]
    assert len(signs) > 10


def test_a_large_array_can_be_checked_without_being_unpacked(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        checked = read_array(opened, "large", is_kept=False)
    assert checked is not None
    assert (checked.shape, checked.dtype, checked.strides) == (LARGE, np.uint8, (0, 0, 0))


def test_objects_are_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened, pytest.raises(ValueError, match="pickle"):
        read_array(opened, "objects")


def test_damage_in_a_large_array_is_found_before_it_is_used(archive: Path, tmp_path: Path) -> None:
    content = bytearray(archive.read_bytes())
    place = content.index(b"large.npy") + 5000
    content[place : place + 4] = b"\0\1\2\3"
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(content)
    for is_kept in (True, False):
        with zipfile.ZipFile(damaged) as opened, pytest.raises((zipfile.BadZipFile, zlib.error), match=r"CRC|Error -3"):
            read_array(opened, "large", is_kept=is_kept)
