"""Heads of the contrastive methods: from pooled features to the vectors that are compared."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ProjectionHead", "pooled_blocks"]


class ProjectionHead(nn.Sequential):
    """Two layers with a ReLU between: D → D → `out_dim`.

    Args:
        in_dim: D.
        out_dim: of the projection.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(nn.Linear(in_dim, in_dim), nn.ReLU(inplace=True), nn.Linear(in_dim, out_dim))

    def unit(self, features: Tensor) -> Tensor:
        """Projections of unit length, float32, of `float [..., D]`."""
        return F.normalize(self(features).float(), dim=-1)


def pooled_blocks(maps: Tensor) -> Tensor:
    """Feature maps `float [B, N, D, s, s]` to their means over space `[B, N, D]`."""
    return maps.mean(dim=(3, 4))
