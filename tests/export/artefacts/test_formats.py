"""What the exporters write, and the gate that compares it with the encoder."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from cocon.core.errors import GateError, StorageError
from cocon.core.storage import storing
from cocon.embedding.embedder import ModelEmbedder, assert_congruent
from cocon.embedding.local import LocalSession
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.parity import check_parity
from cocon.export.artefacts.parity_clips import mixed_with_noise, moving_squares
from cocon.export.artefacts.to_onnx import check_signature, export_onnx
from cocon.export.artefacts.to_torchscript import export_torchscript, load_torchscript
from cocon.export.sources import ViewSource
from tests.disks import full_disk

MakeSource = Callable[..., ViewSource]


@pytest.fixture(scope="module")
def source(make_source: MakeSource) -> ViewSource:
    return make_source(depths=(2, 1, 1, 2), frames_per_block=5, side_px=48, classifier="gru")


@pytest.fixture(scope="module")
def onnx_file(source: ViewSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(Deployable(fold(source.encoder, 5)), source.contract, path)
    return path


def test_onnx_takes_any_batch_and_equals_the_encoder(source: ViewSource, onnx_file: Path) -> None:
    reference = TorchEmbedder(Deployable(source.encoder), source.contract)
    candidate = ModelEmbedder(LocalSession(onnx_file, source.contract))
    for size in (1, 2, 5, 17):
        assert_congruent(reference, candidate, mixed_with_noise(source.clips, size))


def test_onnx_is_one_file_of_two_dimensional_convolutions_without_local_paths(onnx_file: Path) -> None:
    assert [path.name for path in onnx_file.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(onnx_file)
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    kernels = [weights[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
    assert kernels and all(len(kernel) == 4 for kernel in kernels)
    assert str(Path(torch.__file__).parent).encode() not in onnx_file.read_bytes()
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 20)}


def test_a_signature_that_is_not_the_contract_is_refused(
    source: ViewSource, onnx_file: Path, make_source: MakeSource, tmp_path: Path
) -> None:
    with pytest.raises(GateError, match="instead of"):
        check_signature(onnx_file, make_source(labels=()).contract)
    with pytest.raises(GateError, match=r"'clip' .* is not uint8"):
        check_signature(onnx_file, make_source(side_px=32, classifier="gru").contract)
    model = onnx.load(onnx_file)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    frozen = tmp_path / "frozen.onnx"
    onnx.save(model, frozen)
    with pytest.raises(GateError, match=r"batch dimension of 'clip' .* is fixed to 2"):
        check_signature(frozen, source.contract)


@pytest.mark.parametrize("export", [export_onnx, export_torchscript])
def test_a_full_disk_ends_an_export_with_the_systems_word(
    source: ViewSource, tmp_path: Path, export: Callable[..., None]
) -> None:
    with full_disk(1000), pytest.raises(StorageError, match="File too large"), storing(tmp_path):
        export(Deployable(source.encoder), source.contract, tmp_path / "model")


@pytest.mark.parametrize("folded", [True, False])
def test_torchscript_equals_the_encoder_in_the_order_of_the_contract(
    source: ViewSource, tmp_path: Path, folded: bool
) -> None:
    path = tmp_path / "model.pt"
    export_torchscript(Deployable(fold(source.encoder, 5) if folded else source.encoder), source.contract, path)
    reference = TorchEmbedder(Deployable(source.encoder), source.contract)
    parity = check_parity(reference, load_torchscript(path, source.contract), mixed_with_noise(source.clips, 16))
    assert parity.min_cosine >= 0.99999
    assert parity.max_abs_difference <= 1e-4


def test_the_gate_refuses_other_weights(source: ViewSource, onnx_file: Path) -> None:
    other = copy.deepcopy(source.encoder)
    with torch.no_grad():
        other.get_parameter("backbone.layer4.0.conv1.weight").mul_(1.01)
    reference = TorchEmbedder(Deployable(other), source.contract)
    with pytest.raises(GateError, match="cosine"):
        check_parity(
            reference, ModelEmbedder(LocalSession(onnx_file, source.contract)), mixed_with_noise(source.clips, 16)
        )


def test_large_logits_are_judged_by_their_size(source: ViewSource, tmp_path: Path) -> None:
    """Noise can drive a sound classifier to logits in the hundreds, where float rounding exceeds 1e-4."""
    loud = copy.deepcopy(source.encoder)
    loud.get_parameter("classifier.fc.weight").data *= 1e4
    export_torchscript(Deployable(fold(loud, 5)), source.contract, tmp_path / "model.pt")
    candidate = load_torchscript(tmp_path / "model.pt", source.contract)
    check_parity(TorchEmbedder(Deployable(loud), source.contract), candidate, mixed_with_noise(source.clips, 16))


def test_the_gate_refuses_a_result_that_depends_on_the_batch(source: ViewSource) -> None:
    tampered = Deployable(source.encoder)
    for momentum_free in tampered.modules():
        if isinstance(momentum_free, torch.nn.BatchNorm3d):
            momentum_free.momentum = 0.0  # batch statistics, the running ones untouched
            momentum_free.train()
    embedder = TorchEmbedder(tampered, source.contract)
    with pytest.raises(GateError, match="depends on the others of its batch"):
        check_parity(embedder, embedder, mixed_with_noise(source.clips, 16))


class _NeighbourhoodBlocks(torch.nn.Module):
    """Blocks that lean towards the others of their clip, by a tenth."""

    def __init__(self, deployable: Deployable) -> None:
        super().__init__()
        self.deployable = deployable

    def forward(self, clip: torch.Tensor) -> tuple[torch.Tensor, ...]:
        embedding, blocks, *others = self.deployable(clip)
        leaning = torch.nn.functional.normalize(blocks + 0.1 * embedding[:, None], dim=-1)
        return embedding, leaning, *others


def test_the_gate_refuses_blocks_that_depend_on_the_others_of_their_clip(source: ViewSource) -> None:
    embedder = TorchEmbedder(_NeighbourhoodBlocks(Deployable(source.encoder)), source.contract)
    with pytest.raises(GateError, match="depends on the others of its clip"):
        check_parity(embedder, embedder, mixed_with_noise(source.clips, 16))


@pytest.mark.parametrize("export", [export_onnx, export_torchscript])
def test_an_affine_classifier_gives_the_logits_of_blocks_too(
    make_source: MakeSource, tmp_path: Path, export: Callable[..., None]
) -> None:
    source = make_source(classifier="mean")
    export(Deployable(fold(source.encoder, 4)), source.contract, path := tmp_path / "model")
    is_onnx = export is export_onnx
    candidate = (
        ModelEmbedder(LocalSession(path, source.contract)) if is_onnx else load_torchscript(path, source.contract)
    )
    clips = mixed_with_noise(source.clips, 16)
    check_parity(TorchEmbedder(Deployable(source.encoder), source.contract), candidate, clips)
    outputs = candidate.embed(clips)
    assert outputs.logits is not None and outputs.block_logits is not None
    np.testing.assert_allclose(outputs.block_logits.mean(axis=1), outputs.logits, atol=1e-4)


def test_the_gate_refuses_what_is_not_finite(source: ViewSource) -> None:
    broken = Deployable(source.encoder)
    broken.encoder.backbone.bn1.bias.data[0] = torch.nan
    embedder = TorchEmbedder(broken, source.contract)
    with pytest.raises(GateError, match="not finite"):
        check_parity(embedder, embedder, mixed_with_noise(source.clips, 16))


def test_parity_clips_alternate_real_ones_and_noise(source: ViewSource) -> None:
    clips = moving_squares(source.contract, 3)
    mixed = mixed_with_noise(clips, 9)
    assert mixed.shape == (9, *source.contract.clip_shape)
    np.testing.assert_array_equal(mixed[::2], clips[[0, 1, 2, 0, 1]])
    assert 120 < mixed[1::2].mean() < 135
