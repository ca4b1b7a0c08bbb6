"""What is exported: a trained encoder with one input and a plain tuple of outputs, and an `Embedder` over such."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cocon.core.errors import GateError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import Outputs, check_clips
from cocon.training.models.encoder import Encoder

__all__ = ["Deployable", "TorchEmbedder"]


class Deployable(nn.Module):
    """An encoder as the exporters need it; it calls the encoder and computes nothing itself.

    Args:
        encoder: in evaluation mode; a copy is kept, without gradients, on the CPU.

    Raises:
        GateError: a part of the encoder is in training mode, where a row's result would depend on its batch.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        learning = [name or "encoder" for name, module in encoder.named_modules() if module.training]
        if learning:
            raise GateError(f"'{learning[0]}' of the encoder is in training mode; call eval() before the export")
        self.encoder = copy.deepcopy(encoder).cpu().requires_grad_(False)
        self.eval()

    def forward(self, clip: Tensor) -> tuple[Tensor, ...]:
        """Embed `uint8 [B, N, T, H, W, C]`.

        Args:
            clip: named as the models' input is.

        Returns:
            Embedding `float32 [B, D]`, blocks `float32 [B, N, D]`, with a classifier logits `float32 [B, K]`, and where
            it is affine those of blocks `float32 [B, N, K]`: the order of `ModelContract.output_shapes`.
        """
        return tuple(tensor for tensor in self.encoder(clip) if tensor is not None)


@dataclass(frozen=True, slots=True)
class TorchEmbedder:
    """An `Embedder` over a module that returns tensors in the contract's order: a `Deployable` or its TorchScript.

    Attributes:
        module: in evaluation mode, on the CPU.
        contract: what goes in and what comes out.
    """

    module: nn.Module
    contract: ModelContract

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        """Embed `uint8 [B, N, T, H, W, C]`.

        Raises:
            MismatchError: `clips` is not what the contract takes.
        """
        check_clips(clips, self.contract)
        with torch.inference_mode():
            tensors = self.module(torch.tensor(clips))
        arrays = {name: tensor.numpy() for name, tensor in zip(self.contract.output_shapes, tensors, strict=True)}
        return Outputs.of(arrays)
