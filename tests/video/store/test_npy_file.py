"""An array that grows in a file is what NumPy reads there."""

from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import StorageError
from cocon.video.store.npy_file import NpyFile, mapped


@pytest.mark.parametrize("num_rows", [1, 12_345])
def test_rows_come_back_mapped(num_rows: int, tmp_path: Path) -> None:
    rows = np.arange(num_rows * 6, dtype=np.float16).reshape(num_rows, 2, 3)
    with NpyFile(tmp_path / "rows.npy") as file:
        for row in rows:
            file.add(row.T.copy().T)  # in the other order in memory
    back = mapped(tmp_path / "rows.npy")
    assert isinstance(back, np.memmap)
    assert not back.flags.writeable
    np.testing.assert_array_equal(back, rows)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy", allow_pickle=False), rows)


def test_rows_of_another_kind_are_refused_and_a_full_disk_is_told(tmp_path: Path) -> None:
    with NpyFile(tmp_path / "rows.npy") as file:
        file.add(np.zeros((2, 3), np.uint8))
        with pytest.raises(ValueError, match=r"uint8 \[3, 2\] among uint8 \[2, 3\]"):
            file.add(np.zeros((3, 2), np.uint8))
    full = NpyFile(Path("/dev/full"))
    with pytest.raises(StorageError, match="No space left"):
        for _ in range(100):
            full.add(np.zeros(1 << 16, np.uint8))
    with pytest.raises(StorageError, match="No space left"):
        full.close()
