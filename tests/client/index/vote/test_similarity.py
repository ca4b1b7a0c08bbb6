import numpy as np
import pytest

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.vote.similarity import video_similarities

from .conftest import unit


@pytest.mark.parametrize("budget", [1, 200, 1 << 22])
def test_similarity_is_the_mean_over_the_query_of_its_best_clip(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cocon.client.index.vote.similarity._MAX_COSINES", budget)
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(40, 8)))
    rows = RowTable(np.arange(5), np.array([0, 3, 10, 11, 30]), np.array([3, 7, 1, 12, 10]), 40)  # with dead rows
    positions = np.array([0, 1, 3, 4])
    queries, counts = unit(rng.normal(size=(7, 8))), np.array([1, 4, 2])
    found = video_similarities(queries, counts, vectors, rows, positions)
    for row, clips in zip(found, np.split(queries, np.cumsum(counts)[:-1]), strict=True):
        for similarity, video in zip(row, positions, strict=True):
            of_video = vectors[rows.first_rows[video] : rows.end_rows[video]]
            assert similarity == pytest.approx(float((clips @ of_video.T).max(axis=1).mean()), abs=1e-6)


def test_no_videos_have_no_similarities() -> None:
    none = np.array([], np.int64)
    found = video_similarities(
        np.eye(2, dtype=np.float32), np.array([2]), np.eye(2, dtype=np.float32), RowTable(none, none, none, 2), none
    )
    assert found.shape == (1, 0)
