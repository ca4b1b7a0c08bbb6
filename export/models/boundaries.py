"""Publish where actions begin and end: `cocon_<view>_boundaries`, the boundary head that was trained on an encoder.

The graph is written node by node, so that batch and length are free whatever the exporter thinks of them, and is gated
against the head in PyTorch at several of both.
"""

import logging
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from cocon.core.errors import MismatchError
from cocon.embedding.contract import BLOCKS
from cocon.embedding.embedder import assert_tensors_congruent
from cocon.embedding.locating.boundary_model import BOUNDARIES, BOUNDARY_MODEL, NUM_BOUNDARIES, BoundaryModel
from cocon.export.artefacts.parity import BATCH_SIZES, Parity
from cocon.export.artefacts.to_onnx import OPSET
from cocon.export.sources import TrainedHead
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.run_folder.files import RunFolder

__all__ = ["check_boundaries", "sound_boundary_head", "write_boundaries"]

_logger = logging.getLogger(__name__)

_IR_VERSION = 10  # as of `cocon_fuse`
# One block, fewer than the head sees at once, and more; more than anybody trains on.
_LENGTHS = (1, 7, 64, 1000)
_TOLERANCE = 1e-5  # of a probability


def sound_boundary_head(run: RunFolder, view: str) -> TrainedHead | None:
    """A run's boundary head of a view; None, and said, where it is not that of the run's encoder or is damaged."""
    try:
        return run.boundary_head(view)
    except MismatchError as error:
        _logger.warning("%s is exported without a boundary model: %s", BOUNDARY_MODEL.name(view), error)
        return None


def write_boundaries(head: BoundaryHead, path: Path) -> None:
    """Write a head as ONNX: `blocks` float32 [B, L, D] to `boundaries`, probabilities float32 [B, L, 3]."""
    constants = {"scale": head.scale, "time": torch.tensor([1])}
    nodes = [
        helper.make_node("ReduceMean", [BLOCKS, "time"], ["mean"]),
        helper.make_node("Sub", [BLOCKS, "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["standardised"]),
        helper.make_node("Transpose", ["standardised"], ["0"], perm=[0, 2, 1]),
    ]
    layers = [layer for layer in head.layers if not isinstance(layer, nn.Dropout)]
    for position, layer in enumerate(layers):
        given, result = str(position), str(position + 1)
        if isinstance(layer, nn.Conv1d):
            nodes.append(_convolution(layer, given, result, constants))
        else:
            assert isinstance(layer, nn.ReLU)
            nodes.append(helper.make_node("Relu", [given], [result]))
    nodes.append(helper.make_node("Transpose", [str(len(layers))], ["logits"], perm=[0, 2, 1]))
    nodes.append(helper.make_node("Sigmoid", ["logits"], [BOUNDARIES]))
    graph = helper.make_graph(
        nodes,
        BOUNDARIES,
        [helper.make_tensor_value_info(BLOCKS, TensorProto.FLOAT, ["batch", "length", head.embedding_dim])],
        [helper.make_tensor_value_info(BOUNDARIES, TensorProto.FLOAT, ["batch", "length", NUM_BOUNDARIES])],
        [numpy_helper.from_array(tensor.detach().cpu().numpy(), name) for name, tensor in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def check_boundaries(head: BoundaryHead, candidate: BoundaryModel) -> Parity:
    """Compare a boundary model with the head in PyTorch on random unit blocks, and its batches with single videos.

    Raises:
        GateError: they differ, or a row of a batch is not what its video gives alone.
    """
    rng = np.random.default_rng(0)
    figures = []
    for size, length in product(BATCH_SIZES, _LENGTHS):
        blocks = rng.standard_normal((size, length, head.embedding_dim), np.float32)
        blocks /= np.linalg.norm(blocks, axis=-1, keepdims=True)
        found = candidate.probabilities(blocks)
        alone = np.concatenate([candidate.probabilities(row[None]) for row in blocks])
        for expected, what in ((_eager(head, blocks), "the trained head"), (alone, "each video alone")):
            name = f"{length} blocks, against {what},"
            pair = ({BOUNDARIES: tensor.reshape(size, -1)} for tensor in (expected, found))  # [B, L·3]
            # Where nothing happens at all, there is no direction to agree in: the difference alone decides.
            figures.append(assert_tensors_congruent(*pair, what=name, min_cosine=-1.0, max_abs_difference=_TOLERANCE))
    return Parity.of(figures)


@torch.no_grad()
def _eager(head: BoundaryHead, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(head(torch.from_numpy(blocks)).sigmoid().numpy())


def _convolution(layer: nn.Conv1d, given: str, result: str, constants: dict[str, Tensor]) -> onnx.NodeProto:
    """The node of a convolution; its weights are added to the constants."""
    assert layer.bias is not None and isinstance(layer.padding, tuple)
    constants |= {f"weight_{given}": layer.weight, f"bias_{given}": layer.bias}
    return helper.make_node(
        "Conv",
        [given, f"weight_{given}", f"bias_{given}"],
        [result],
        kernel_shape=layer.kernel_size,
        dilations=layer.dilation,
        pads=2 * layer.padding,
    )
