"""Arrays of npz archives: small ones in memory, large ones on disk, damaged ones nowhere."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from cocon.video.store import archive as archive_module
from cocon.video.store import packed_array
from cocon.video.store.archive import LargeArrays, forget_pages, read_array, write_arrays
from cocon.video.store.packed_array import PackedArray

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


@pytest.fixture(scope="module")
def stored(archive: Path) -> Path:
    """The same, uncompressed."""
    path = archive.with_name("stored.npz")
    ramp = np.arange(LARGE[0], dtype=np.uint8)[:, None, None]
    np.savez(path, first=np.eye(3), large=np.broadcast_to(ramp, LARGE))
    return path


def test_an_uncompressed_large_array_is_mapped_where_it_lies(stored: Path) -> None:
    with zipfile.ZipFile(stored) as opened:
        large = read_array(opened, "large", known=LargeArrays())
    assert large is not None
    assert (large.shape, large.flags.writeable) == (LARGE, False)
    assert [int(large[index, 3, -1]) for index in (0, 37, 69)] == [0, 37, 69]
    forget_pages(large)
    assert int(large[69].max()) == 69
    ours = next(line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(stored)))
    assert "r--s" in ours


def test_damage_in_an_uncompressed_array_is_found_before_it_is_used(stored: Path, tmp_path: Path) -> None:
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(content)
    with zipfile.ZipFile(damaged) as opened, pytest.raises(zipfile.BadZipFile, match="CRC"):
        read_array(opened, "large", known=LargeArrays())


@pytest.mark.parametrize("kind", ["archive", "stored"])
def test_large_arrays_that_are_known_are_read_once_until_their_file_changes(
    kind: str, archive: Path, stored: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes((archive if kind == "archive" else stored).read_bytes())
    signs: list[None] = []
    known = LargeArrays()

    def num_signs(*, is_kept: bool = True) -> int:
        signs.clear()
        with zipfile.ZipFile(path) as opened:
            large = read_array(opened, "large", is_kept=is_kept, known=known, on_progress=lambda: signs.append(None))
        assert large is not None
        assert int(large[-1, 0, 0]) == (69 if is_kept else 0)
        return len(signs)

    assert num_signs() > 10
    assert num_signs() == num_signs(is_kept=False) == 0
    content = bytearray(path.read_bytes())
    content[content.index(b"large.npy") + 5000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises((zipfile.BadZipFile, zlib.error)):
        num_signs()


def test_an_archive_in_memory_is_read_too(stored: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(stored.read_bytes())) as opened:
        large = read_array(opened, "large")
    assert isinstance(large, np.memmap)
    assert int(large[37, 0, 0]) == 37


@pytest.mark.parametrize("is_compressed", [True, False])
def test_rows_are_those_of_the_whole_wherever_one_looks(
    is_compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With small limits: decoders stand in every third block of rows."""
    monkeypatch.setattr(archive_module, "_LARGE_BYTES", 1 << 20)
    monkeypatch.setattr(packed_array, "_RESTART_BYTES", 100_000)
    monkeypatch.setattr(packed_array, "_BLOCK_BYTES", 30_000)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.integers(0, 9, (900, 40, 50), np.uint8), np.zeros((900, 40, 50), np.uint8)])
    path = tmp_path / "a.npz"
    with path.open("wb") as stream:
        write_arrays(stream, {"first": np.eye(2), "rows": rows}, is_compressed=is_compressed)
    with zipfile.ZipFile(path) as opened:
        found = read_array(opened, "rows", known=LargeArrays())
    assert found is not None
    assert isinstance(found, PackedArray) == is_compressed
    assert (found.shape, found.dtype, found.nbytes, len(found)) == (rows.shape, rows.dtype, rows.nbytes, 1800)
    for row in (0, 1, 1799, 900, 899, 5, -1, *rng.integers(0, 1800, 50)):
        np.testing.assert_array_equal(found[row], rows[row])
    for key in (
        slice(890, 910),
        slice(None, None, 173),
        np.array([7, 7, 1500, 3]),
        (5, None),
        (slice(3, 5), 0, [1, 2]),
    ):
        np.testing.assert_array_equal(found[key], rows[key])
