"""An index of vectors that are longer than those of blocks, for they keep the thirds of a clip."""

from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder, VideoIndex
from cocon.client.bulk.shard import RowSizes, Shard, ShardHead, ShardInput, read_shard, shard_bytes
from cocon.client.index.files.reading import open_snapshot
from cocon.client.output.sinks import file_sink
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.embedding.videos.clip_vectors import clip_vectors
from tests.client.conftest import DIM, contract, make_repository, write_video
from tests.client.index.conftest import FACTS


@pytest.fixture(scope="module")
def thirds(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("thirds")
    models = (contract("rgb", labels=(), pooling="thirds"), contract("flow", weights="2", labels=(), pooling="thirds"))
    return f"local:{make_repository(root, *models)}"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("films")
    return [write_video(root / f"f{number}.mp4", seed=number) for number in range(4)]


def test_clips_are_thirds_of_blocks_that_they_share(thirds: str, films: list[Path]) -> None:
    with VideoEmbedder(thirds, overlap=0.5) as embedder:
        found = embedder.embed(films[0])
    assert found.embedding.shape[1] == 3 * DIM and found.blocks.shape[1:] == (2, DIM)
    np.testing.assert_allclose(found.embedding, clip_vectors(found.blocks, 3), atol=1e-6)


def test_an_index_of_them_is_searched_moved_and_kept_sound(thirds: str, films: list[Path], tmp_path: Path) -> None:
    index = VideoIndex(tmp_path / "index")
    with VideoEmbedder(thirds, views=["rgb", "flow"]) as embedder:
        index.add(films, embedder)
        asking = embedder.embed(films[0])
    facts = index.facts
    assert (facts.embedding_dim, facts.block_dim) == (6 * DIM, 2 * DIM)
    (first, *others) = index.search(asking, top=4, exclude_self=False)
    assert (Path(first.video), len(others)) == (films[0], 3)
    index.export(tmp_path / "clips.parquet")
    copy = VideoIndex(tmp_path / "copy")
    copy.import_file(tmp_path / "clips.parquet")
    assert copy.facts == facts
    before, after = (open_snapshot(each.folder) for each in (index, copy))
    np.testing.assert_array_equal(before.vectors, after.vectors)
    assert before.blocks is not None and after.blocks is not None
    np.testing.assert_array_equal(before.blocks, after.blocks)
    assert copy.verify().is_sound


def test_views_that_keep_other_things_are_told_apart_in_an_index(films: list[Path], tmp_path: Path) -> None:
    rgb, flow = contract("rgb", labels=(), pooling="thirds"), contract("flow", weights="2", labels=())
    index, mixed = VideoIndex(tmp_path / "index"), f"local:{make_repository(tmp_path / 'mixed', rgb, flow)}"
    with VideoEmbedder(mixed, views=["rgb", "flow"]) as embedder:
        index.add(films, embedder)
        asking = embedder.embed(films[0])
        sizes, model = RowSizes.of(embedder.model), embedder.model
    facts = index.facts
    assert (facts.embedding_dim, facts.block_dim, facts.widths) == (4 * DIM, 2 * DIM, (DIM, 3 * DIM))
    assert asking.blocks.shape[2] == 2 * DIM
    for rank in ("aligned", "nearest"):
        options = {"rank": rank} if rank == "aligned" else {"match": "mean"}
        (first, *others) = index.search(asking, top=4, exclude_self=False, **options)
        assert (Path(first.video), len(others)) == (films[0], 3)
    index.export(tmp_path / "clips.parquet")
    copy = VideoIndex(tmp_path / "copy")
    copy.import_file(tmp_path / "clips.parquet")
    assert copy.facts == facts
    head = ShardHead("key", asking.fingerprint, (ShardInput(str(films[0]), None),), (True,))
    (tmp_path / head.name).write_bytes(shard_bytes(Shard(head, (asking,), ()), sizes))
    with (tmp_path / "embedded.parquet").open("w") as stream:
        sink = file_sink("parquet", stream, model)
        sink.write(list(asking.rows()))
        sink.finish()
    for name in (head.name, "embedded.parquet"):
        imported = VideoIndex(tmp_path / Path(name).stem)
        imported.import_file(tmp_path / name)
        assert imported.facts == facts


def test_a_shard_of_them_comes_back_and_can_be_imported(thirds: str, films: list[Path], tmp_path: Path) -> None:
    with VideoEmbedder(thirds) as embedder:
        found, sizes = embedder.embed(films[0]), RowSizes.of(embedder.model)
    head = ShardHead("key", found.fingerprint, (ShardInput(str(films[0]), None),), (True,))
    path = tmp_path / head.name
    path.write_bytes(shard_bytes(Shard(head, (found,), ()), sizes))
    (again,) = read_shard(path).results
    assert isinstance(again, VideoEmbedding)
    np.testing.assert_array_equal(again.embedding, found.embedding)
    np.testing.assert_allclose(again.blocks, found.blocks, atol=1e-3)
    index = VideoIndex(tmp_path / "index")
    assert index.import_file(path).num_clips == len(found.embedding)
    assert (index.facts.embedding_dim, index.facts.block_dim) == (3 * DIM, DIM)


def test_facts_of_before_are_written_as_they_were() -> None:
    assert set(FACTS.to_dict()) == {"views", "fingerprint", "embedding_dim", "model"}
    assert FACTS.block_dim == FACTS.embedding_dim
