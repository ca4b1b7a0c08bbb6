"""Milvus holds vectors of clips that are longer than those of blocks, each view's of its own length."""

from pathlib import Path

import pytest

from cocon.client import VideoEmbedder, VideoIndex
from cocon.client.collection.milvus_index import MilvusIndex
from cocon.client.index.query.search_options import SearchOptions
from tests.client.conftest import DIM, contract, make_repository, write_video


def test_views_that_keep_other_things_are_searched_as_in_a_folder(lite: str, tmp_path: Path) -> None:
    rgb, flow = contract("rgb", labels=(), pooling="thirds"), contract("flow", weights="2", labels=())
    films = [write_video(tmp_path / f"f{number}.mp4", seed=number) for number in range(4)]
    folder, kept = VideoIndex(tmp_path / "index"), MilvusIndex(f"{lite}mixed")
    with VideoEmbedder(f"local:{make_repository(tmp_path / 'mixed', rgb, flow)}", views=["rgb", "flow"]) as embedder:
        for index in (folder, kept):
            index.add(films, embedder)
        asking = embedder.embed(films[0])
    assert kept.facts == folder.facts
    assert (kept.facts.embedding_dim, kept.facts.block_dim, kept.facts.widths) == (4 * DIM, 2 * DIM, (DIM, 3 * DIM))
    for options in (SearchOptions(rank="aligned"), SearchOptions(match="mean", grouping="video")):
        (expected,), (found,) = (index.search_many([asking], options) for index in (folder, kept))
        assert [hit.video for hit in found] == [hit.video for hit in expected]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-6)
