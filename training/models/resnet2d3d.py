"""2D-3D residual trunk of DPC and CoCon: early stages see single frames, late stages see time.

The first two stages have kernels 1×3×3, the last two 3×3×3. Channels are w, 2w, 4w, 4w for a width w (64 in the paper).
The very last block has no final ReLU, so features are signed. Source: Rai et al. 2021, after Han et al. 2019 (DPC).

The fine-tuned classifiers of DPC have features rectified, frame by frame: in the trunk rather than in the classifier,
for ReLU comes before the mean over a block's time, and what the classifier reads is what the blocks and the embedding
should be made of.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cocon.training.models.trunk import ResidualBlock, ResidualTrunk

__all__ = ["RectifiedResNet2d3d", "ResNet2d3d"]


class ResNet2d3d(ResidualTrunk):
    """The trunk: `float [B, C, T, H, W]` to `float [B, 4·width, ceil(T/4), ceil(H/32), ceil(W/32)]`."""

    def stages(self, depths: Sequence[int], width: int) -> tuple[nn.Sequential, ...]:
        """Two stages of single frames, two of time."""
        self.out_channels = 4 * width
        return (
            _stage(width, width, depths[0], sees_time=False, stride=1),
            _stage(width, 2 * width, depths[1], sees_time=False, stride=2),
            _stage(2 * width, 4 * width, depths[2], sees_time=True, stride=2),
            _stage(4 * width, 4 * width, depths[3], sees_time=True, stride=2, final_relu=False),
        )


class RectifiedResNet2d3d(ResNet2d3d):
    """`ResNet2d3d` followed by ReLU; the same weights fit both."""

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to non-negative `float [B, 4·width, ceil(T/4), ceil(H/32), ceil(W/32)]`."""
        return torch.relu(super().forward(x))


def _stage(
    in_channels: int, out_channels: int, depth: int, *, sees_time: bool, stride: int, final_relu: bool = True
) -> nn.Sequential:
    blocks = [
        ResidualBlock(
            in_channels if index == 0 else out_channels,
            out_channels,
            sees_time=sees_time,
            stride=stride if index == 0 else 1,
            final_relu=final_relu or index < depth - 1,
        )
        for index in range(depth)
    ]
    return nn.Sequential(*blocks)
