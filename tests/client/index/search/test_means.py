"""The mean of a video's clips: of unit length view by view, as evaluation fuses them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search import means
from cocon.client.index.search.means import mean_vector, video_means
from cocon.embedding.fusion import EQUAL_WEIGHTS, fuse_embeddings
from cocon.embedding.neighbours import unit_vectors

COUNTS = np.array([1, 4, 2, 3])
TABLE = RowTable(np.arange(4), np.array([0, 2, 6, 9]), COUNTS, 12)  # row 1 and row 8 are dead


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


def _clips(dims: dict[str, int]) -> dict[str, NDArray[np.float32]]:
    """Clips of each view; those of `rgb` differ much, those of others little."""
    rng = np.random.default_rng(0)
    return {
        view: unit_vectors((rng.normal(size=(12, dim)) + (0 if view == "rgb" else 4)).astype(np.float32))
        for view, dim in dims.items()
    }


@pytest.mark.parametrize("dims", [{"rgb": 6}, {"flow": 6, "rgb": 6}, {"flow": 4, "pose": 6, "rgb": 12}])
@pytest.mark.parametrize("max_clips", [1, 5, 1000])
@pytest.mark.parametrize("weights", [EQUAL_WEIGHTS, {"rgb": 0.02, "flow": 0.7, "pose": 0.28}])
def test_the_mean_of_fused_clips_is_the_views_means_fused(
    dims: dict[str, int], max_clips: int, weights: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(means, "_MAX_CLIPS", max_clips)
    clips = _clips(dims)
    vectors = fuse_embeddings(clips, weights)
    found, are_whole = video_means(vectors, TABLE, np.zeros(0, np.int64), [*dims.values()])
    assert are_whole.all()
    for video, mean in enumerate(found):
        rows = TABLE.rows_of(np.array([video]))
        means_of_views = {view: unit_vectors(own[rows].mean(axis=0)) for view, own in clips.items()}
        expected = fuse_embeddings(means_of_views, weights)
        np.testing.assert_allclose(mean, expected, atol=1e-6)
        np.testing.assert_allclose(mean_vector(vectors[rows], [*dims.values()])[0], expected, atol=1e-6)


def test_where_views_are_of_widths_that_are_not_known_the_whole_is_brought_to_unit_length() -> None:
    vectors = fuse_embeddings(_clips({"flow": 4, "rgb": 8}))
    found, _ = video_means(vectors, TABLE, np.zeros(0, np.int64), [6, 6])
    expected = unit_vectors(vectors[2:6].mean(axis=0))
    np.testing.assert_allclose(found[1], expected, atol=1e-6)
    np.testing.assert_allclose(mean_vector(vectors[2:6], [6, 6])[0], expected, atol=1e-6)


def test_a_video_with_a_damaged_row_has_no_mean() -> None:
    vectors = fuse_embeddings(_clips({"flow": 6, "rgb": 6}))
    vectors[[0, 1, 8]] = np.nan
    found, are_whole = video_means(vectors, TABLE, np.array([0]), [6, 6])
    assert are_whole.tolist() == [False, True, True, True]
    assert not found[0].any() and np.linalg.norm(found[1:], axis=1) == pytest.approx(1)
