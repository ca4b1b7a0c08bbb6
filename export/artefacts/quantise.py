"""INT8: an exported encoder with its convolutions in bytes, a variant with a bound of its own.

    quantise(Path("model.onnx"), clips, contract, Path("int8.onnx"))

Weights have a scale per output channel, activations one per tensor, measured on real clips (static quantisation). The
file is plain ONNX with QuantizeLinear and DequantizeLinear, so any runtime reads it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.contract import CLIP, ModelContract
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
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        """Gives the clips one by one."""

        def __init__(self) -> None:
            self.rows: Iterator[NDArray[np.uint8]] = iter(clips)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            row = next(self.rows, None)
            return None if row is None else {CLIP: row[None]}

    with _quiet_quantiser():
        quantize_static(
            str(onnx_path),
            str(path),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    check_signature(path, contract)


@contextmanager
def _quiet_quantiser() -> Iterator[None]:
    """Hide its advice to prepare the file, which the exporter has done."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
