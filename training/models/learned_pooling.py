"""A clip's vector as something that is learned of its blocks in their order, in no more numbers than one of them.

The course of the blocks is split into waves over the clip, as a cosine transform does: their mean, what rises or falls
from beginning to end, and what is otherwise in the middle than at both ends. The mean stays as it is, each of the other
two goes through a linear map of its own, and the sum is brought to unit length. The maps begin as rotations, which keep
what comes when apart from what there is, and are learned (`training/repooling/learned.py`). Clips of any number of
blocks have such waves.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LearnedPooling"]

_NUM_WAVES = 2


class LearnedPooling(nn.Module):
    """The pooling `learned`.

    Args:
        block_dim: D.
    """

    def __init__(self, block_dim: int) -> None:
        super().__init__()
        maps = [nn.Linear(block_dim, block_dim, bias=False) for _ in range(_NUM_WAVES)]
        for each in maps:
            nn.init.orthogonal_(each.weight)
        self.maps = nn.ModuleList(maps)

    def forward(self, blocks: Tensor) -> Tensor:
        """Unit vectors of blocks `float [B, N, D]` to those of clips, `float [B, D]`."""
        vector = blocks.mean(dim=1)
        for number, of_wave in enumerate(self.maps, start=1):
            vector = vector + of_wave(_wave(blocks, number))
        return F.normalize(vector, dim=-1)


def _wave(blocks: Tensor, number: int) -> Tensor:
    """Mean of the blocks by a cosine of so many half periods over the clip, as strong as the mean: `float [B, D]`."""
    given = blocks.unbind(dim=1)
    angles = [math.pi * number * (position + 0.5) / len(given) for position in range(len(given))]
    shares = [math.sqrt(2) * math.cos(angle) / len(given) for angle in angles]
    parts = [share * of for share, of in zip(shares, given, strict=True)]
    return sum(parts[1:], parts[0])
