"""The choice of a real index of made-up blocks: kept with it, and chosen anew when its labels have changed much."""

from pathlib import Path

import pytest

from cocon.client import VideoIndex
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.ranking.choice import RANKING_FACT, RankingChoice
from cocon.client.index.ranking.keeping import keep_ranking

from ..conftest import FACTS, NUM_BLOCKS
from .conftest import put_videos


def test_what_is_chosen_is_kept_until_the_labels_have_changed_much(tmp_path: Path) -> None:
    names = [f"{letter}{number}" for letter in "ud" for number in range(12)]
    with IndexWriter(tmp_path, new=(FACTS, NUM_BLOCKS)) as writer:
        put_videos(writer, names)
        assert keep_ranking(writer)
        assert not keep_ranking(writer)
        put_videos(writer, ["u again"])
        assert not keep_ranking(writer)  # one of 24
        first = RankingChoice.of_fact(writer.fact(RANKING_FACT))
        assert first is not None and first.mix > 0
        assert first.label_counts == {"label d": 12, "label u": 12}
        put_videos(writer, ["d again", "d once more"])
        assert keep_ranking(writer)
    found = RankingChoice.of_fact(VideoIndex(tmp_path).snapshot().fact(RANKING_FACT))
    assert found is not None and found.num_videos == 27
    assert found.agreement[0] < 75 < max(found.agreement)


@pytest.mark.parametrize("num_blocks", [0, NUM_BLOCKS])
def test_without_blocks_or_labels_there_is_nothing_to_keep(tmp_path: Path, num_blocks: int) -> None:
    with IndexWriter(tmp_path, new=(FACTS, num_blocks)) as writer:
        put_videos(writer, ["u1", "u2", "d1", "d2"], has_labels=num_blocks == 0)
        assert not keep_ranking(writer)
        assert writer.fact(RANKING_FACT) is None
