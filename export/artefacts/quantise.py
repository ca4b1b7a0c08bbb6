"""INT8: an exported encoder with its convolutions in bytes, a variant with a bound of its own.

    quantise(Path("model.onnx"), clips, contract, Path("int8.onnx"))

Weights have a scale per output channel, activations one per tensor, chosen on real clips (static quantisation) so that
the squares of what rounding and cutting off take away are least. The file is plain ONNX with QuantizeLinear and
DequantizeLinear, so any runtime reads it; see `byte_graph` and `byte_stem` for what is done so that little else than
convolutions is left to compute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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

# A clip's share in what the scales are chosen by; all numbers would take gigabytes.
_NUMBERS_PER_CLIP = 4096


def quantise(onnx_path: Path, clips: NDArray[np.uint8], contract: ModelContract, path: Path) -> None:
    """Write an encoder with its convolutions in INT8.

    Args:
        onnx_path: the encoder as `export_onnx` wrote it, folded.
        clips: `uint8 [K, N, T, H, W, C]`, real ones, K ≥ 1: the scales of activations are chosen on them.
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


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What a tensor holds on some clips: its smallest and largest number, and some of them, `float32 [n]`."""

    low: float
    high: float
    sample: NDArray[np.float32]


def _scales(model: ir.Model, tensors: ByteTensors, clips: NDArray[np.uint8]) -> dict[str, ByteScale]:
    """The scale of every measured tensor: the same for all of its group."""
    numbers = _numbers(model, tensors.measured, clips)
    scales: dict[str, ByteScale] = {}
    for group in tensors.groups:
        names = [str(value.name) for value in group if value.name in numbers]
        scales |= dict.fromkeys(names, _nearest_scale([numbers[name] for name in names]))
    return scales


def _nearest_scale(numbers: Sequence[_Numbers]) -> ByteScale:
    low, high = min(each.low for each in numbers), max(each.high for each in numbers)
    return ByteScale.nearest(low, high, np.concatenate([each.sample for each in numbers]))


def _numbers(model: ir.Model, names: Sequence[str], clips: NDArray[np.uint8]) -> dict[str, _Numbers]:
    """What some tensors hold on all clips."""
    import onnxruntime

    proto = ir.to_proto(model)
    del proto.graph.output[:]
    proto.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    of_clips: dict[str, list[_Numbers]] = {name: [] for name in names}
    for clip in clips:
        for name, values in zip(names, session.run(None, {CLIP: clip[None]}), strict=True):
            sample = rng.choice(values.reshape(-1), _NUMBERS_PER_CLIP)
            of_clips[name].append(_Numbers(float(values.min()), float(values.max()), sample))
    return {
        name: _Numbers(
            min(each.low for each in found),
            max(each.high for each in found),
            np.concatenate([each.sample for each in found]),
        )
        for name, found in of_clips.items()
    }
