"""INT8: the written file is the encoder within its bound, in bytes, for any batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from cocon.embedding.embedder import ModelEmbedder
from cocon.embedding.local import LocalSession
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.parity_clips import mixed_with_noise
from cocon.export.artefacts.quantise import quantise
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.export.sources import ViewSource

MakeSource = Callable[..., ViewSource]


@pytest.fixture(scope="module")
def source(make_source: MakeSource) -> ViewSource:
    return make_source(depths=(1, 1, 1, 2), frames_per_block=5, side_px=48)


@pytest.fixture(scope="module")
def int8_file(source: ViewSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("int8")
    reference, path = folder / "fp32.onnx", folder / "model.onnx"
    export_onnx(Deployable(fold(source.encoder, 5)), source.contract, reference)
    quantise(reference, mixed_with_noise(source.clips, 4), source.contract, path)
    reference.unlink()
    return path


def test_it_is_the_encoder_within_its_bound_at_any_batch(source: ViewSource, int8_file: Path) -> None:
    reference = TorchEmbedder(Deployable(source.encoder), source.contract)
    candidate = ModelEmbedder(LocalSession(int8_file, source.contract, providers=["CPUExecutionProvider"]))
    for size in (1, 2, 5):
        clips = mixed_with_noise(source.clips, size)
        expected, found = reference.embed(clips), candidate.embed(clips)
        assert (expected.embedding * found.embedding).sum(axis=-1).min() > 0.99
        assert not np.array_equal(expected.embedding, found.embedding)
        assert expected.logits is not None and found.logits is not None
        assert np.abs(expected.logits - found.logits).max() < 0.1 * np.abs(expected.logits).max()


def test_it_is_one_file_whose_convolutions_are_in_bytes(int8_file: Path) -> None:
    assert [path.name for path in int8_file.parent.iterdir()] == ["model.onnx"]
    graph = onnx.load(int8_file).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    inputs = [name for node in graph.node if node.op_type == "Conv" for name in node.input]
    assert inputs and {made_by[name] for name in inputs} == {"DequantizeLinear"}
