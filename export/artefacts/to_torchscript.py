"""TorchScript, for programs that load it already; PyTorch itself has deprecated the format, ONNX comes first.

The folded graph is written here too: as fast as the Conv3d graph (`benchmarks/variants.py`), and one less to prove.
"""

import warnings
from pathlib import Path

import torch
from torch.jit._trace import TracerWarning

from cocon.embedding.contract import ModelContract
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder

__all__ = ["export_torchscript", "load_torchscript"]


def export_torchscript(deployable: Deployable, contract: ModelContract, path: Path) -> None:
    """Write an encoder as TorchScript, by tracing.

    `forward(clip)` of the saved module returns a tuple in the order of `ModelContract.output_shapes`.

    Args:
        deployable: the encoder.
        contract: its contract.
        path: file to write.
    """
    clips = torch.zeros(2, *contract.clip_shape, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        # N, T and the image size are constants of the contract, so a trace may hold them.
        warnings.filterwarnings("ignore", category=TracerWarning)
        # The parity gate compares far more than the tracer's own check.
        traced = torch.jit.trace(deployable, clips, check_trace=False)  # type: ignore[no-untyped-call]
        path.write_bytes(traced.save_to_buffer())  # its own writer ends the process when a disk is full


def load_torchscript(path: Path, contract: ModelContract) -> TorchEmbedder:
    """Load a file that `export_torchscript` wrote."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    return TorchEmbedder(module, contract)
