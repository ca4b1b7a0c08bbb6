import numpy as np

from cocon.client.index.files.row_table import RowTable

TABLE = RowTable(np.array([2, 5, 9]), np.array([1, 4, 6]), np.array([2, 2, 3]), 10)


def test_rows_and_videos_find_each_other() -> None:
    assert TABLE.videos_of(np.arange(10)).tolist() == [-1, 0, 0, -1, 1, 1, 2, 2, 2, -1]
    assert TABLE.rows_of(np.array([2, 0])).tolist() == [6, 7, 8, 1, 2]
    assert np.flatnonzero(TABLE.row_mask(np.array([1]))).tolist() == [4, 5]
    assert TABLE.positions_of(np.array([1, 5, 9, 12])).tolist() == [1, 2]
    assert TABLE.num_live == TABLE.live.sum() == 7


def test_a_table_without_videos_has_dead_rows_alone() -> None:
    none = np.array([], np.int64)
    empty = RowTable(none, none, none, 3)
    assert empty.videos_of(np.arange(3)).tolist() == [-1, -1, -1]
    assert empty.positions_of(np.array([4])).tolist() == empty.rows_of(none).tolist() == []
    assert not empty.live.any()
