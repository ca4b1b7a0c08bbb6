"""2D residual trunks of the frame methods: ResNet-10, -18, -34 and -50 on single frames.

Channels are w, 2w, 4w, 8w for a width w (64 in the paper), four times as many out of bottlenecks. Kernels are 1×k×k, so
that the trunk takes what the others take; the numbers are those of a `Conv2d`. Source: He et al. 2016, with the stride
of a bottleneck in its 3×3 convolution, as public checkpoints have it.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from torch import Tensor, nn

from cocon.training.models.convolutions import EdgeConv
from cocon.training.models.trunk import ResidualBlock, ResidualTrunk, residual_stages, shortcut

__all__ = ["EXPANSION", "Bottleneck", "BottleneckResNet2d", "ResNet2d"]

# Out of a bottleneck come so many times its own channels.
EXPANSION = 4


class Bottleneck(nn.Module):
    """Three convolutions 1×1, 3×3, 1×1 and a shortcut.

    Args:
        in_channels: of the input.
        channels: of the middle; four times as many come out.
        sees_time: the middle one is 3×3×3, and meets the frames at the ends again outside.
        stride: 1 or 2, of the middle convolution; in time only where the block sees time.
    """

    def __init__(self, in_channels: int, channels: int, *, sees_time: bool = False, stride: int = 1) -> None:
        super().__init__()
        out_channels = EXPANSION * channels
        strides = (stride if sees_time else 1, stride, stride)
        self.conv1 = nn.Conv3d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        if sees_time:
            self.conv2: nn.Conv3d = EdgeConv(channels, channels, 3, strides, 1, bias=False)
        else:
            self.conv2 = nn.Conv3d(channels, channels, (1, 3, 3), strides, (0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.conv3 = nn.Conv3d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out_channels, strides)

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, 4·channels, T', H', W']`."""
        same = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out)) + same
        rectified: Tensor = self.relu(out)
        return rectified


class ResNet2d(ResidualTrunk):
    """Basic blocks: `float [B, C, T, H, W]` to `float [B, 8·width, T, ceil(H/32), ceil(W/32)]`."""

    def stages(self, depths: Sequence[int], width: int) -> Iterable[nn.Sequential]:
        """Four stages of single frames."""
        self.out_channels = 8 * width
        return residual_stages(partial(ResidualBlock, sees_time=False), width, [width << n for n in range(4)], depths)


class BottleneckResNet2d(ResidualTrunk):
    """Bottlenecks: `float [B, C, T, H, W]` to `float [B, 32·width, T, ceil(H/32), ceil(W/32)]`."""

    def stages(self, depths: Sequence[int], width: int) -> Iterable[nn.Sequential]:
        """Four stages of single frames."""
        self.out_channels = 8 * width * EXPANSION
        return residual_stages(Bottleneck, width, [width << n for n in range(4)], depths, expansion=EXPANSION)
