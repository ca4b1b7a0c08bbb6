"""Arrays that grow on disk."""

from pathlib import Path

import numpy as np
import pytest

from cocon.video.store.spool import Spool


def test_rows_come_back_in_order_and_nothing_stays_in_the_folder(tmp_path: Path) -> None:
    rows = np.arange(7 * 6, dtype=np.float16).reshape(7, 3, 2)
    with Spool(tmp_path) as spool:
        spool.add(rows[:4])
        spool.add(rows[4:, :, ::-1][:, :, ::-1])  # not contiguous
        whole = spool.whole()
        assert (whole.dtype, np.array_equal(whole, rows)) == (np.float16, True)
        spool.add(rows[:1])
        assert np.array_equal(spool.whole(), np.concatenate([rows, rows[:1]]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", [np.zeros((1, 3), np.uint8), np.zeros((1, 2), np.int64)])
def test_rows_of_another_kind_are_refused(tmp_path: Path, other: np.ndarray) -> None:
    with Spool(tmp_path) as spool:
        spool.add(np.zeros((2, 2), np.uint8))
        with pytest.raises(ValueError, match=r"^rows .* among uint8 \[2\]$"):
            spool.add(other)
        assert len(spool.whole()) == 2


def test_an_empty_one_is_no_array(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool, pytest.raises(ValueError, match="no rows"):
        spool.whole()
