"""INT8: an exported encoder with its convolutions in bytes, a variant with a bound of its own.

    quantise(Path("model.onnx"), clips, contract, Path("int8.onnx"))

Weights have a scale per output channel, activations one per tensor, measured on real clips (static quantisation). The
file is plain ONNX with QuantizeLinear and DequantizeLinear, so any runtime reads it; see `byte_graph` and `byte_stem`
for what is done so that little else than convolutions is left to compute.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxscript import ir

from cocon.embedding.contract import CLIP, ModelContract
from cocon.export.artefacts.byte_graph import ByteScale, ByteTensors, byte_tensors, hoist_rectifiers, to_bytes
from cocon.export.artefacts.byte_stem import read_bytes
from cocon.export.artefacts.to_onnx import check_signature

__all__ = ["quantise"]


def quantise(onnx_path: Path, clips: NDArray[np.uint8], contract: ModelContract, path: Path) -> None:
    """Write an encoder with its convolutions in INT8.

    Args:
        onnx_path: the encoder as `export_onnx` wrote it, folded.
        clips: `uint8 [K, N, T, H, W, C]`, real ones, K ≥ 1: the ranges of activations are measured on them.
        contract: the encoder's.
        path: file to write.

    Raises:
        GateError: the written graph does not have the contract's tensors.
    """
    model = ir.load(onnx_path)
    read_bytes(model.graph, contract)
    hoist_rectifiers(model.graph)
    tensors = byte_tensors(model.graph)
    to_bytes(model.graph, tensors, _scales(model, tensors, clips))
    ir.save(model, path)
    check_signature(path, contract)


def _scales(model: ir.Model, tensors: ByteTensors, clips: NDArray[np.uint8]) -> dict[str, ByteScale]:
    """The scale of every measured tensor: of all numbers that its group takes on the clips."""
    ranges = _ranges(model, tensors.measured, clips)
    scales: dict[str, ByteScale] = {}
    for group in tensors.groups:
        names = [str(value.name) for value in group if value.name in ranges]
        lows, highs = zip(*(ranges[name] for name in names), strict=True)
        scales |= dict.fromkeys(names, ByteScale.of_range(min(lows), max(highs)))
    return scales


def _ranges(model: ir.Model, names: Sequence[str], clips: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Smallest and largest number of some tensors, over all clips."""
    import onnxruntime

    proto = ir.to_proto(model)
    bounds = [(f"{op}:{name}", op, name) for name in names for op in ("ReduceMin", "ReduceMax")]
    proto.graph.node.extend(helper.make_node(op, [name], [output], keepdims=0) for output, op, name in bounds)
    del proto.graph.output[:]
    proto.graph.output.extend(helper.make_tensor_value_info(output, TensorProto.FLOAT, []) for output, *_ in bounds)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    found = np.array([session.run(None, {CLIP: clip[None]}) for clip in clips])  # [K, 2·names]
    lows, highs = found[:, ::2].min(axis=0), found[:, 1::2].max(axis=0)
    return dict(zip(names, zip(lows.tolist(), highs.tolist(), strict=True), strict=True))
