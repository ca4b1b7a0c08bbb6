"""Half precision: half the bytes, the same tensors, and nearly the same vectors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from cocon.embedding.repository import ONNX
from cocon.export.artefacts.half_precision import halve
from cocon.export.artefacts.to_onnx import check_signature
from cocon.export.models.encoders import open_onnx, write_encoder
from cocon.export.sources import ViewSource

MakeSource = Callable[..., ViewSource]


@pytest.fixture(scope="module")
def files(make_source: MakeSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An encoder, and the same in half precision."""
    folder = tmp_path_factory.mktemp("half")
    reference, path = folder / "reference.onnx", folder / "model.onnx"
    write_encoder(make_source(), ONNX, reference)
    halve(reference, path)
    return reference, path


def test_weights_are_halved_and_vectors_hardly_change(files: tuple[Path, Path], make_source: MakeSource) -> None:
    source, (reference, path) = make_source(), files
    check_signature(path, source.contract)
    assert path.stat().st_size < 0.6 * reference.stat().st_size
    onnx.checker.check_model(path, full_check=True)

    expected, found = (open_onnx(file, source.contract).embed(source.clips).named() for file in (reference, path))
    for name, tensor in found.items():
        assert tensor.dtype == np.float32
        cosines = (tensor * expected[name]).sum(-1) / np.linalg.norm(tensor, axis=-1)
        assert (cosines / np.linalg.norm(expected[name], axis=-1) > 0.9999).all()
    assert not np.array_equal(found["embedding"], expected["embedding"])
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=-1), 1, atol=1e-6)  # in float32


def test_weights_are_float16_up_to_the_last_convolution(files: tuple[Path, Path]) -> None:
    graph = onnx.load(files[1]).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    weights = {node.op_type: {types[name] for name in node.input if name in types} for node in graph.node}
    assert weights["Conv"] == {onnx.TensorProto.FLOAT16}
    assert weights["Gemm"] == {onnx.TensorProto.FLOAT}
