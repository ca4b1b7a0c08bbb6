"""What is exported: a trained encoder with one input and a plain tuple of outputs."""

import copy

from torch import Tensor, nn

from cocon.core.errors import GateError
from cocon.training.models.encoder import Encoder

__all__ = ["Deployable"]


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
            Embedding `float32 [B, D]`, blocks `float32 [B, N, D]` and, with a classifier, logits `float32 [B, K]`: the
            order of `ModelContract.output_shapes`.
        """
        embedding, blocks, logits = self.encoder(clip)
        return (embedding, blocks) if logits is None else (embedding, blocks, logits)
