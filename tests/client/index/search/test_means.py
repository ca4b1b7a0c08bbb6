import numpy as np
import pytest

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search import means
from cocon.client.index.search.means import mean_vector, video_means


def test_the_mean_of_each_video_is_of_unit_length(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = RowTable(np.array([1, 2, 5]), np.array([2, 9, 20]), np.array([5, 1, 20]), 40)
    expected = [vectors[first : first + count].mean(axis=0) for first, count in ((2, 5), (9, 1), (20, 20))]
    for max_clips in (1, 6, 1 << 16):  # videos at a time
        monkeypatch.setattr(means, "_MAX_CLIPS", max_clips)
        found, are_whole = video_means(vectors, table, np.array([9]))
        assert are_whole.tolist() == [True, False, True]
        for position in (0, 2):
            unit = expected[position] / np.linalg.norm(expected[position])
            np.testing.assert_allclose(found[position], unit, atol=1e-6)
    np.testing.assert_array_equal(mean_vector(vectors[2:7])[0], found[0])
