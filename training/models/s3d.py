"""S3D without gating: an Inception trunk whose convolutions in time are separable.

Each k×k×k convolution is a 1×k×k and a k×1×1 one with BatchNorm and ReLU after both. All numbers of channels are those
of the paper, times width / 64, rounded to the nearest whole number, at least one; so the width is the channels of the
stem, as in other trunks. Source: Xie et al. 2018, the stem with stride 2 in time.

The public checkpoint of Kinetics differs in two details: BatchNorm adds 1e-3 to the variance, and the last maps are
averaged over every two neighbouring moments.

Time and space are halved, rounding up, by the stem and the pooling before stage four, space by two poolings more; the
pooling before stage five halves both without padding, so that it wants two frames and two cells.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from cocon.training.models.convolutions import FactoredConv
from cocon.training.models.trunk import Trunk

__all__ = ["PointwiseConv", "S3d", "SeparableConv", "SeparableInception"]

# Channels of the branches at width 64.
_MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
_KINETICS_EPSILON = 1e-3
# Kernel, stride and padding of the pooling before a block.
_POOLS = {
    "3b": ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "4b": ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    "5b": ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
}


class _RectifiedConv(nn.Module):
    """A convolution, BatchNorm, ReLU."""

    def __init__(self, conv: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, C', T', H', W']`."""
        rectified: Tensor = self.relu(self.bn(self.conv(x)))
        return rectified


class PointwiseConv(_RectifiedConv):
    """1×1×1 convolution, BatchNorm, ReLU: `float [B, C, T, H, W]` to `float [B, C', T, H, W]`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv3d(in_channels, out_channels, 1, bias=False), out_channels)


class SeparableConv(_RectifiedConv):
    """1×k×k and k×1×1 convolution, BatchNorm and ReLU after both.

    Args:
        in_channels: of the input.
        out_channels: of both convolutions' outputs.
        side: k.
        stride: of time and space.
    """

    def __init__(self, in_channels: int, out_channels: int, *, side: int = 3, stride: int = 1) -> None:
        kernel, strides = (side, side), (stride, stride)
        conv = FactoredConv(in_channels, out_channels, out_channels, kernel=kernel, stride=strides)
        super().__init__(conv, out_channels)


class SeparableInception(nn.Module):
    """Four branches, their channels side by side.

    Args:
        in_channels: of the input.
        channels: of the branches: 1×1×1; 1×1×1 and separable; the same again; 1×1×1 after pooling.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        point, narrow1, wide1, narrow2, wide2, pooled = channels
        self.branch0 = PointwiseConv(in_channels, point)
        self.branch1 = nn.Sequential(PointwiseConv(in_channels, narrow1), SeparableConv(narrow1, wide1))
        self.branch2 = nn.Sequential(PointwiseConv(in_channels, narrow2), SeparableConv(narrow2, wide2))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), PointwiseConv(in_channels, pooled))
        self.out_channels = point + wide1 + wide2 + pooled

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, out_channels, T, H, W]`."""
        return torch.cat((self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)), dim=1)


class S3d(Trunk):
    """The trunk: `float [B, C, T, H, W]` to `float [B, 16·width, T', H', W']`.

    T' = ⌊⌈T/4⌉ / 2⌋ and H' = ⌊⌈H/16⌉ / 2⌋, W' alike: 32 frames of 128×128 px become 4 of 4×4 cells.
    As on Kinetics, T' is one less, so that it wants 13 frames.

    Args:
        in_channels: C of the view.
        depths: ignored, since there is one depth.
        width: w, channels of the stem.
        as_on_kinetics: the two details of the public checkpoint; see above.
    """

    def __init__(
        self, in_channels: int, depths: Sequence[int] = (), *, width: int = 64, as_on_kinetics: bool = False
    ) -> None:
        super().__init__()
        self.out_channels = 16 * width
        self.layers = nn.Sequential(OrderedDict(_layers(in_channels, width)))
        if as_on_kinetics:
            self.layers.add_module("moments", nn.AvgPool3d((2, 1, 1), 1))
        for module in self.modules():
            if as_on_kinetics and isinstance(module, nn.BatchNorm3d):
                module.eps = _KINETICS_EPSILON
            if isinstance(module, nn.Conv3d):
                # The paper's; what BatchNorm divides by makes the scale matter little.
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]`, T ≥ 5 and H, W ≥ 17, to `float [B, 16·width, T', H', W']`."""
        features: Tensor = self.layers(x)
        return features


def _layers(in_channels: int, width: int) -> Iterator[tuple[str, nn.Module]]:
    """The trunk in order, under the paper's names."""
    channels = _scaled(192, width)
    yield "conv_1a", SeparableConv(in_channels, width, side=7, stride=2)
    yield "maxpool_2a", nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
    yield "conv_2b", PointwiseConv(width, width)
    yield "conv_2c", SeparableConv(width, channels)
    for name, branches in _MIXED.items():
        if name in _POOLS:
            yield f"maxpool_{name[0]}a", nn.MaxPool3d(*_POOLS[name])
        mixed = SeparableInception(channels, [_scaled(number, width) for number in branches])
        channels = mixed.out_channels
        yield f"mixed_{name}", mixed


def _scaled(channels: int, width: int) -> int:
    return max(1, round(channels * width / 64))
