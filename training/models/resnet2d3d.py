"""2D-3D residual trunk of DPC and CoCon: early stages see single frames, late stages see time.

The first two stages have kernels 1×3×3, the last two 3×3×3. Channels are w, 2w, 4w, 4w for a width w (64 in the paper).
The very last block has no final ReLU, so features are signed. Source: Rai et al. 2021, after Han et al. 2019 (DPC).

The fine-tuned classifiers of DPC have features rectified, frame by frame: in the trunk rather than in the classifier,
for ReLU comes before the mean over a block's time, and what the classifier reads is what the blocks and the embedding
should be made of.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from cocon.training.models.trunk import ResidualBlock, ResidualTrunk, residual_stages

__all__ = ["RectifiedResNet2d3d", "ResNet2d3d"]


class ResNet2d3d(ResidualTrunk):
    """The trunk: `float [B, C, T, H, W]` to `float [B, 4·width, ceil(T/4), ceil(H/32), ceil(W/32)]`."""

    def stages(self, depths: Sequence[int], width: int) -> Iterable[nn.Sequential]:
        """Two stages of single frames, two of time."""
        self.out_channels = 4 * width
        still, moving = (partial(ResidualBlock, sees_time=sees_time) for sees_time in (False, True))
        early = residual_stages(still, width, (width, 2 * width), depths[:2], strides=(1, 2))
        late = residual_stages(moving, 2 * width, (4 * width, 4 * width), depths[2:], strides=(2, 2))
        stages = [*early, *late]
        last = stages[-1][-1]
        assert isinstance(last, ResidualBlock)
        last.final_relu = False
        return stages


class RectifiedResNet2d3d(ResNet2d3d):
    """`ResNet2d3d` followed by ReLU; the same weights fit both."""

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to non-negative `float [B, 4·width, ceil(T/4), ceil(H/32), ceil(W/32)]`."""
        return torch.relu(super().forward(x))
