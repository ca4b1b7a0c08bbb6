"""R(2+1)D: a residual trunk whose 3×3×3 convolutions are factored into space and time.

Channels are w, 2w, 4w, 8w for a width w (64 in the paper). The stem halves space, stages two to four halve space and
time. A factored convolution has as many parameters as the whole one would have: with N channels in, N' out and a kernel
of t×d×d there are ⌊t·d²·N·N' / (d²·N + t·N')⌋ channels between its two halves. Source: Tran et al. 2018, section 3.5.

Two forms are in use, with equally many residual blocks but different numbers. The common one, that of the authors and
of public R(2+1)D-18 checkpoints, has 45 middle channels in its stem, both convolutions of a block share the middle
channels of the first, and a shortcut is one strided 1×1×1 convolution. The other takes the formula at its word: in the
stem (3×7×7 on three channels: 83 middle channels at width 64, whatever the view), for each convolution of a block by
itself, and for shortcuts, which are factored too, with a kernel of 1×1×1. The released encoders of ViCC (Toering et al.
2022) are of this kind, with one block per stage.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from cocon.training.models.convolutions import FactoredConv
from cocon.training.models.trunk import Trunk, residual_stages

__all__ = ["R2Plus1d", "R2Plus1dBlock", "num_middle_channels"]

_STEM_KERNEL = (3, 7)
_STEM_MIDDLE_CHANNELS = 45  # at width 64
_PICTURE_CHANNELS = 3  # which flow has there too


def num_middle_channels(in_channels: int, out_channels: int, kernel: tuple[int, int] = (3, 3)) -> int:
    """Channels between the halves of a factored convolution of kernel (t, d), at least one; see above."""
    taps, side = kernel
    num_whole = taps * side**2 * in_channels * out_channels
    return max(1, num_whole // (side**2 * in_channels + taps * out_channels))


class R2Plus1dBlock(nn.Module):
    """Two factored convolutions and a shortcut.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        stride: 1 or 2, of the first convolution, in time and space.
        fully_factored: middle channels of the second convolution by the formula, and a factored shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, fully_factored: bool = False) -> None:
        super().__init__()
        middle = num_middle_channels(in_channels, out_channels)
        strides = (stride, stride)
        self.conv1 = FactoredConv(in_channels, out_channels, middle, stride=strides)
        self.bn1 = nn.BatchNorm3d(out_channels)
        if fully_factored:
            middle = num_middle_channels(out_channels, out_channels)
        self.conv2 = FactoredConv(out_channels, out_channels, middle)
        self.bn2 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            shortcut: nn.Module = nn.Conv3d(in_channels, out_channels, 1, stride, bias=False)
            if fully_factored:
                middle = num_middle_channels(in_channels, out_channels, (1, 1))
                shortcut = FactoredConv(in_channels, out_channels, middle, kernel=(1, 1), stride=strides)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, C', T', H', W']`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        rectified: Tensor = self.relu(self.bn2(self.conv2(out)) + shortcut)
        return rectified


class R2Plus1d(Trunk):
    """The trunk: `float [B, C, T, H, W]` to `float [B, 8·width, ceil(T/8), ceil(H/16), ceil(W/16)]`.

    Args:
        in_channels: C of the view.
        depths: residual blocks per stage, four numbers.
        width: w, channels of the stem.
        fully_factored: the formula everywhere; see above.
    """

    def __init__(
        self, in_channels: int, depths: Sequence[int], *, width: int = 64, fully_factored: bool = False
    ) -> None:
        super().__init__()
        self.out_channels = 8 * width
        middle = max(1, round(_STEM_MIDDLE_CHANNELS * width / 64))
        if fully_factored:
            middle = num_middle_channels(_PICTURE_CHANNELS, width, _STEM_KERNEL)
        self.conv1 = FactoredConv(in_channels, width, middle, kernel=_STEM_KERNEL, stride=(1, 2))
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        block = partial(R2Plus1dBlock, fully_factored=fully_factored)
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_stages(
            block, width, [width << n for n in range(4)], depths
        )
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, 8·width, T', H', W']`."""
        x = self.relu(self.bn1(self.conv1(x)))  # [B, w, T, H/2, W/2]
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return features
