"""The choice of a real index of made-up blocks: kept with it, and chosen anew when its labels have changed much."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoIndex
from cocon.client.index.files.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.ranking.choice import RANKING_FACT, RankingChoice
from cocon.client.index.ranking.keeping import keep_ranking
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.embedding.neighbours import unit_vectors

from ..conftest import DIM, FACTS, NUM_BLOCKS, embedding_of


def _video(name: str) -> VideoEmbedding:
    """A video of class `u` shows one thing and then another, one of class `d` the second first."""
    video = embedding_of(name)
    shown = np.eye(DIM)[[0, 1] if name[0] == "u" else [1, 0]]
    blocks = unit_vectors((shown + 0.3 * video.blocks).astype(np.float32))
    return replace(video, blocks=blocks, embedding=unit_vectors(blocks.mean(axis=1)))


def _put(writer: IndexWriter, names: list[str], *, has_labels: bool = True) -> None:
    for name in names:
        video = _video(name)
        Contents(writer).put(video.video, video, label=f"label {name[0]}" if has_labels else None, overlap=0.0)


def test_what_is_chosen_is_kept_until_the_labels_have_changed_much(tmp_path: Path) -> None:
    names = [f"{letter}{number}" for letter in "ud" for number in range(12)]
    with IndexWriter(tmp_path, new=(FACTS, NUM_BLOCKS)) as writer:
        _put(writer, names)
        assert keep_ranking(writer)
        assert not keep_ranking(writer)
        _put(writer, ["u again"])
        assert not keep_ranking(writer)  # one of 24
        first = RankingChoice.of_fact(writer.fact(RANKING_FACT))
        assert first is not None and first.mix > 0
        assert first.label_counts == {"label d": 12, "label u": 12}
        _put(writer, ["d again", "d once more"])
        assert keep_ranking(writer)
    found = RankingChoice.of_fact(VideoIndex(tmp_path).snapshot().fact(RANKING_FACT))
    assert found is not None and found.num_videos == 27
    assert found.agreement[0] < 75 < max(found.agreement)


@pytest.mark.parametrize("num_blocks", [0, NUM_BLOCKS])
def test_without_blocks_or_labels_there_is_nothing_to_keep(tmp_path: Path, num_blocks: int) -> None:
    with IndexWriter(tmp_path, new=(FACTS, num_blocks)) as writer:
        _put(writer, ["u1", "u2", "d1", "d2"], has_labels=num_blocks == 0)
        assert not keep_ranking(writer)
        assert writer.fact(RANKING_FACT) is None
