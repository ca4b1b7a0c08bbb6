"""INT8: the written file is the encoder within its bound, in bytes, for any batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnxscript import ir

from cocon.embedding.embedder import ModelEmbedder
from cocon.embedding.local import LocalSession
from cocon.export.artefacts.byte_graph import ByteScale
from cocon.export.artefacts.byte_stem import Kernel, read_bytes
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
def fp32_file(source: ViewSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fp32") / "model.onnx"
    export_onnx(Deployable(fold(source.encoder, 5)), source.contract, path)
    return path


@pytest.fixture(scope="module")
def int8_file(source: ViewSource, fp32_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    quantise(fp32_file, mixed_with_noise(source.clips, 4), source.contract, path)
    return path


def test_reading_bytes_changes_nothing_but_the_rounding_of_the_frame(
    source: ViewSource, fp32_file: Path, tmp_path: Path
) -> None:
    model = ir.load(fp32_file)
    assert read_bytes(model.graph, source.contract)
    ir.save(model, tmp_path / "bytes.onnx")
    clips = mixed_with_noise(source.clips, 4)
    expected, found = (_embedder(path, source).embed(clips) for path in (fp32_file, tmp_path / "bytes.onnx"))
    assert (expected.blocks * found.blocks).sum(axis=-1).min() > 0.99999


def test_it_is_the_encoder_within_its_bound_at_any_batch(source: ViewSource, int8_file: Path) -> None:
    reference = TorchEmbedder(Deployable(source.encoder), source.contract)
    candidate = _embedder(int8_file, source)
    for size in (1, 2, 5):
        clips = mixed_with_noise(source.clips, size)
        expected, found = reference.embed(clips), candidate.embed(clips)
        assert (expected.embedding * found.embedding).sum(axis=-1).min() > 0.99
        assert not np.array_equal(expected.embedding, found.embedding)
        assert expected.logits is not None and found.logits is not None
        assert np.abs(expected.logits - found.logits).max() < 0.1 * np.abs(expected.logits).max()


def test_a_scale_is_of_most_numbers_and_not_of_the_few_largest() -> None:
    rng = np.random.default_rng(0)
    usual = rng.standard_normal(200_000).astype(np.float32)
    low, high = float(usual.min()), 9.0  # one is twice as large as all others
    scale = ByteScale.nearest(low, high, np.append(usual, np.float32(high)))
    everything = ByteScale.of_range(low, high)
    assert scale.step < 0.9 * everything.step
    assert np.square(scale.rounded(usual) - usual).mean() < 0.8 * np.square(everything.rounded(usual) - usual).mean()
    assert scale.rounded(np.zeros(1, np.float32)) == 0.0


def test_a_scale_of_numbers_that_fill_their_range_is_of_all_of_them() -> None:
    even = np.linspace(-1.0, 3.0, 10_001, dtype=np.float32)
    assert ByteScale.nearest(-1.0, 3.0, even) == ByteScale.of_range(-1.0, 3.0)


def test_it_is_one_file_whose_convolutions_are_in_bytes(int8_file: Path) -> None:
    assert [path.name for path in int8_file.parent.iterdir()] == ["model.onnx"]
    graph = onnx.load(int8_file).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    inputs = [name for node in graph.node if node.op_type == "Conv" for name in node.input]
    assert inputs and {made_by[name] for name in inputs} == {"DequantizeLinear"}


def test_onnx_runtime_computes_it_in_integers_without_turning_tensors(int8_file: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3  # it says that such a file is for this machine only
    onnxruntime.InferenceSession(str(int8_file), options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert operators.count("QLinearConv") == 22
    assert not {"Conv", "Relu", "QuantizeLinear", "Sub", "Cast"} & set(operators)
    assert operators.count("DequantizeLinear") == 2  # both sides of the last sum
    assert operators.count("Transpose") <= 15  # frames as channels, and what the float tail reads


@pytest.mark.parametrize(
    ("backbone", "view", "frames_per_block", "side_px"),
    [
        pytest.param("s3d", "rgb", 16, 32, marks=pytest.mark.slow),
        pytest.param("r2plus1d", "flow", 4, 34, marks=pytest.mark.slow),
        ("resnet2d_bottleneck", "pose", 1, 33),
    ],
)
def test_every_trunk_has_an_int8_form(
    make_source: MakeSource, tmp_path: Path, backbone: str, view: str, frames_per_block: int, side_px: int
) -> None:
    source = make_source(view, backbone=backbone, frames_per_block=frames_per_block, side_px=side_px)
    reference, path = tmp_path / "fp32.onnx", tmp_path / "model.onnx"
    export_onnx(Deployable(fold(source.encoder, frames_per_block)), source.contract, reference)
    clips = mixed_with_noise(source.clips, 4)
    quantise(reference, clips, source.contract, path)
    expected, found = (_embedder(each, source).embed(clips) for each in (reference, path))
    assert (expected.blocks * found.blocks).sum(axis=-1).min() > 0.99


@pytest.mark.parametrize("side_px", [8, 9])
@pytest.mark.parametrize(("size", "stride", "pad"), [(7, 2, 3), (3, 1, 1), (3, 2, 1), (4, 2, 1), (2, 2, 0)])
def test_a_kernel_on_squares_of_pixels_is_the_kernel(size: int, stride: int, pad: int, side_px: int) -> None:
    generator = np.random.default_rng(0)
    kernel = Kernel(generator.normal(size=(5, 3, size, size)), (stride, stride), (pad, pad, pad, pad))
    pixels = torch.from_numpy(generator.normal(size=(2, side_px, side_px + 2, 3)))
    on_squares = kernel.on_squares(side_px, side_px + 2)
    assert (on_squares is not None) == (stride == 2 and side_px == 8)
    if on_squares is not None:
        squares = pixels.unflatten(2, (5, 2)).unflatten(1, (4, 2)).transpose(2, 3).flatten(3)
        torch.testing.assert_close(_convolved(on_squares, squares), _convolved(kernel, pixels))


def _convolved(kernel: Kernel, pixels: torch.Tensor) -> torch.Tensor:
    """`[M, H, W, C]` to `[M, H', W', C']`."""
    above, left, below, right = kernel.pads
    padded = F.pad(pixels, (0, 0, left, right, above, below)).permute(0, 3, 1, 2)
    return F.conv2d(padded, torch.from_numpy(kernel.weight), stride=kernel.strides).permute(0, 2, 3, 1)


def _embedder(path: Path, source: ViewSource) -> ModelEmbedder:
    return ModelEmbedder(LocalSession(path, source.contract, providers=["CPUExecutionProvider"]))
