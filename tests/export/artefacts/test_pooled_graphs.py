"""Thirds and places of the picture in real graphs: parity of every format, and variants of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.embedding.embedder import ENCODER
from cocon.embedding.local import LocalRepository
from cocon.embedding.repository import FP16, INT8, ONNX, TORCHSCRIPT
from cocon.embedding.videos.fused_model import open_fused
from cocon.export.publishing import export_encoders
from cocon.export.repository.stage import Exported
from cocon.export.sources import ExportOptions, ViewSource

MakeSource = Callable[..., ViewSource]


@pytest.fixture(scope="module")
def source(make_source: MakeSource, judged_by_squares: Callable[[ViewSource], ViewSource]) -> ViewSource:
    return judged_by_squares(make_source(num_blocks=4, frames_per_block=2, side_px=48, pooling="thirds", cells=2))


@pytest.fixture(scope="module")
def exported(source: ViewSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Exported]]:
    repository = tmp_path_factory.mktemp("pooled") / "model_repository"
    options = ExportOptions(formats=(ONNX, TORCHSCRIPT), variants=(INT8, FP16))
    return repository, export_encoders([source], repository, options)


def test_every_format_and_variant_passes_its_gate(exported: tuple[Path, list[Exported]], source: ViewSource) -> None:
    _, models = exported
    names = {"cocon_rgb", "cocon_rgb_torchscript", "cocon_rgb_int8", "cocon_rgb_fp16"}
    assert {model.model for model in models} == names
    assert {model.embedding_dim for model in models} == {source.contract.vector_dim} == {3 * 4 * 32}
    assert all(model.parity or model.fidelity for model in models)


def test_the_card_says_what_vectors_keep_and_cost(exported: tuple[Path, list[Exported]]) -> None:
    card = (exported[0] / "cocon_rgb" / "README.md").read_text()
    assert "2 × 2 places of the picture" in card
    assert "thirds: the vector of a clip has 384 numbers" in card


def test_blocks_that_clips_share_become_the_vectors_that_the_graph_gives(
    exported: tuple[Path, list[Exported]], source: ViewSource
) -> None:
    host = LocalRepository(exported[0])
    fused, clips = open_fused(host, ["rgb"]), source.clips[:2]
    with host.open(ENCODER, "rgb") as embedder:
        expected = embedder.embed(clips)
    assert fused.shares_blocks
    (found,) = fused.embed([{"rgb": clips.reshape(-1, *clips.shape[2:])}])
    made = found["rgb"].clips(np.arange(8).reshape(2, 4))
    np.testing.assert_allclose(made.embedding, expected.embedding, atol=1e-5)
    assert made.logits is not None and expected.logits is not None
    np.testing.assert_allclose(made.logits, expected.logits, atol=1e-4)
    assert (fused.embedding_dim, fused.block_dim) == (384, 128)


def test_a_learned_pooling_is_in_the_graph_and_takes_clips_whole(make_source: MakeSource, tmp_path: Path) -> None:
    source = make_source(num_blocks=4, frames_per_block=2, side_px=33, pooling="learned")
    assert source.encoder.pooler is not None
    repository = tmp_path / "model_repository"
    export_encoders([source], repository, ExportOptions(formats=(ONNX, TORCHSCRIPT)))
    fused, clips = open_fused(LocalRepository(repository), ["rgb"]), source.clips[:2]
    assert (fused.embedding_dim, fused.block_dim, fused.shares_blocks) == (32, 32, False)
    found = [of["rgb"].clips(np.arange(4)[None]) for of in fused.embed([{"rgb": clip} for clip in clips])]
    with torch.no_grad():
        expected = source.encoder(torch.from_numpy(clips))
    np.testing.assert_allclose(np.concatenate([of.embedding for of in found]), expected.embedding, atol=1e-5)
    assert found[0].logits is not None and expected.logits is not None
    np.testing.assert_allclose(found[0].logits, expected.logits[:1], atol=1e-4)
    backwards = source.encoder.clip_vectors(expected.blocks.flip(1))
    assert not torch.allclose(backwards, expected.embedding, atol=1e-3)
