"""A head that sees the frozen blocks of a video and says where actions start, end and go on.

After the temporal evaluation module of BSN (Lin et al., ECCV 2018, section 3.3): convolutions over time, a probability
for each of the three at every moment. Two things differ: blocks count relative to the mean of their video, since what a
place looks like says nothing of when something happens there; and dimensions are cut first, so that the head stays
small whatever the encoder is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cocon.embedding.locating.boundary_model import NUM_BOUNDARIES

__all__ = ["BoundaryHead"]

_WIDTH = 96
_KERNEL = 5
# Of the two convolutions: every other of 1 + 4 · 2 + 4 · 4 moments is seen, whose blocks overlap by half.
_DILATIONS = (2, 4)


class BoundaryHead(nn.Module):
    """Two convolutions over time that together see 25 moments, between two of single moments; any length goes.

    Args:
        embedding_dim: D of the blocks.
        width: channels within.
        dropout: share of channels left out while training.
    """

    scale: Tensor

    def __init__(self, embedding_dim: int, *, width: int = _WIDTH, dropout: float = 0.2) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.register_buffer("scale", torch.ones(embedding_dim))
        self.layers = nn.Sequential(
            nn.Conv1d(embedding_dim, width, 1),
            nn.ReLU(),
            nn.Dropout(dropout),
            _over_time(width, _DILATIONS[0]),
            nn.ReLU(),
            nn.Dropout(dropout),
            _over_time(width, _DILATIONS[1]),
            nn.ReLU(),
            nn.Conv1d(width, NUM_BOUNDARIES, 1),
        )

    def scale_by(self, videos: Sequence[Tensor]) -> None:
        """Have every dimension of videos like these, each `float [L, D]`, come in with a mean square of 1."""
        squares = torch.cat([(blocks - blocks.mean(dim=0)) ** 2 for blocks in videos]).mean(dim=0)  # [D]
        self.scale.copy_(torch.where(squares > 0, squares.clamp_min(1e-12).rsqrt(), 1.0))

    def forward(self, blocks: Tensor) -> Tensor:
        """Blocks `float [B, L, D]` to logits of start, end and actionness, `float [B, L, 3]`."""
        x = ((blocks - blocks.mean(dim=1, keepdim=True)) * self.scale).transpose(1, 2)  # [B, D, L]
        logits: Tensor = self.layers(x)  # [B, 3, L]
        return logits.transpose(1, 2)


def _over_time(width: int, dilation: int) -> nn.Conv1d:
    return nn.Conv1d(width, width, _KERNEL, padding=dilation * (_KERNEL // 2), dilation=dilation)
