"""Convolutional GRU with 1×1 kernels: the aggregator that turns block features into a context.

Made of plain convolutions, never `nn.GRU`, whose ONNX export has been numerically wrong in several releases.
Source: Rai et al. 2021, after Han et al. 2019 (DPC).
"""

import torch
from torch import Tensor, nn

__all__ = ["ConvGRU"]


class ConvGRU(nn.Module):
    """One-layer ConvGRU.

    u = σ(W_u[x, h]), r = σ(W_r[x, h]), c = tanh(W_o[x, r·h]), h' = (1 - u)·h + u·c; dropout on h' at every step, and
    the dropped state is carried on.

    Args:
        channels: of the input and of the hidden state.
        dropout: probability of a dropped unit.
    """

    def __init__(self, channels: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.update_gate = _gate(channels)
        self.reset_gate = _gate(channels)
        self.out_gate = _gate(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """One step: input and state `float [B, D, s, s]` to the next state; no state means zeros."""
        hidden = torch.zeros_like(x) if hidden is None else hidden
        joined = torch.cat([x, hidden], dim=1)  # [B, 2D, s, s]
        update = torch.sigmoid(self.update_gate(joined))
        reset = torch.sigmoid(self.reset_gate(joined))
        candidate = torch.tanh(self.out_gate(torch.cat([x, reset * hidden], dim=1)))
        state: Tensor = self.dropout((1 - update) * hidden + update * candidate)
        return state

    def last_state(self, sequence: Tensor) -> Tensor:
        """State after a sequence `float [B, N, D, s, s]`: `float [B, D, s, s]`."""
        hidden: Tensor | None = None
        for step in range(sequence.shape[1]):
            hidden = self(sequence[:, step], hidden)
        assert hidden is not None
        return hidden


def _gate(channels: int) -> nn.Conv2d:
    gate = nn.Conv2d(2 * channels, channels, 1)
    nn.init.orthogonal_(gate.weight)
    assert gate.bias is not None
    nn.init.zeros_(gate.bias)
    return gate
