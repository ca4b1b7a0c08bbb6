"""`Embedder`s over PyTorch modules, for comparison with what is exported."""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import Outputs, check_clips

__all__ = ["TorchEmbedder", "load_torchscript"]


class TorchEmbedder:
    """An `Embedder` over a module that returns tensors in the contract's order: a `Deployable` or its TorchScript.

    Args:
        module: in evaluation mode, on the CPU.
        contract: its contract.
    """

    def __init__(self, module: nn.Module, contract: ModelContract) -> None:
        self._module = module
        self._contract = contract

    @property
    def contract(self) -> ModelContract:
        """What goes in and what comes out."""
        return self._contract

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        """Embed `uint8 [B, N, T, H, W, C]`.

        Raises:
            MismatchError: `clips` is not what the contract takes.
        """
        check_clips(clips, self._contract)
        with torch.inference_mode():
            tensors = self._module(torch.tensor(clips))
        arrays = {name: tensor.numpy() for name, tensor in zip(self._contract.output_shapes, tensors, strict=True)}
        return Outputs.of(arrays)


def load_torchscript(path: Path, contract: ModelContract) -> TorchEmbedder:
    """Load a TorchScript file that `export_torchscript` wrote."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    return TorchEmbedder(module, contract)
