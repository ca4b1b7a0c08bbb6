"""Publish where actions begin and end: `cocon_<view>_boundaries`, the boundary head that was trained on an encoder.

The file is gated against the head in PyTorch at several batches and lengths.
"""

import logging
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnxscript import OpBuilder, ir
from torch import Tensor, nn

from cocon.core.errors import MismatchError
from cocon.embedding.contract import BLOCKS
from cocon.embedding.embedder import assert_tensors_congruent
from cocon.embedding.locating.boundary_model import BOUNDARIES, BOUNDARY_MODEL, NUM_BOUNDARIES, BoundaryModel
from cocon.export.artefacts.parity import BATCH_SIZES, Parity
from cocon.export.artefacts.to_onnx import write_formula
from cocon.export.sources import TrainedHead
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.run_folder.files import RunFolder

__all__ = ["check_boundaries", "sound_boundary_head", "write_boundaries"]

_logger = logging.getLogger(__name__)

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

    def formula(op: OpBuilder, given: Mapping[str, ir.Value]) -> dict[str, ir.Value]:
        blocks = given[BLOCKS]
        centred = op.Sub(blocks, op.ReduceMean(blocks, [1]))
        x = op.Transpose(op.Mul(centred, _constant(head.scale, "scale")), perm=[0, 2, 1])  # [B, D, L]
        for name, layer in head.layers.named_children():
            if isinstance(layer, nn.Conv1d):
                x = _convolved(op, layer, name, x)
            elif not isinstance(layer, nn.Dropout):
                assert isinstance(layer, nn.ReLU)
                x = op.Relu(x)
        return {BOUNDARIES: op.Sigmoid(op.Transpose(x, perm=[0, 2, 1]))}  # [B, L, 3]

    inputs, outputs = {BLOCKS: (-1, head.embedding_dim)}, {BOUNDARIES: (-1, NUM_BOUNDARIES)}
    write_formula(BOUNDARIES, formula, path, inputs, outputs)


def _convolved(op: OpBuilder, layer: nn.Conv1d, name: str, x: ir.Value) -> ir.Value:
    assert layer.bias is not None and isinstance(layer.padding, tuple)
    weight, bias = _constant(layer.weight, f"weight_{name}"), _constant(layer.bias, f"bias_{name}")
    return op.Conv(x, weight, bias, kernel_shape=layer.kernel_size, dilations=layer.dilation, pads=2 * layer.padding)


def _constant(tensor: Tensor, name: str) -> ir.TensorProtocol:
    return ir.tensor(tensor.detach().cpu().numpy(), name=name)


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
