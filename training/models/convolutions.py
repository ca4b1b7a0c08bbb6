"""Convolutions in space and time as two, first each frame by itself, then each place over time; and one in time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.models.winograd import tiled_conv3d

__all__ = ["EdgeConv", "FactoredConv", "convolved"]


class EdgeConv(nn.Conv3d):
    """A convolution that meets the first and the last frame again outside of the block, where others meet zeros.

    So frames that are all alike give at every moment what one of them gives, however short the block. In space it is
    padded by zeros. Its arguments are those of `Conv3d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, C', T', H', W']`."""
        frames = int(self.padding[0])
        padded = torch.cat((*[x[:, :, :1]] * frames, x, *[x[:, :, -1:]] * frames), dim=2)
        return F.conv3d(padded, self.weight, self.bias, self.stride, (0, *self.padding[1:]))


# With fewer channels, tiles cost more than the products that they save, as measured on one core.
_LEAST_CHANNELS, _LEAST_CHANNELS_IN_TIME = 128, 64


def convolved(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """`conv(x)`, as a training step takes it: in tiles where that is faster, and past what is wrong in bfloat16.

    Where oneDNN's bfloat16 weight gradient is wrong, time is padded beforehand.

    With more than one frame but fewer than the kernel has taps, it uses memory that is not its own (PyTorch 2.13, CPU):
    the gradient is off by more than its own size, now and then not finite, and seven taps over five frames end the
    process.

    Args:
        conv: without bias, padded by half a kernel in time.
        x: `float [B, C, T, H, W]`.
    """
    if isinstance(conv, EdgeConv):  # which pads before
        edged: Tensor = conv(x)
        return edged
    if conv.training and torch.is_autocast_enabled("cpu") and x.is_cpu and 1 < x.shape[2] < conv.kernel_size[0]:
        frames = conv.kernel_size[0] // 2
        padded = F.pad(x, (0, 0, 0, 0, frames, frames))
        return F.conv3d(padded, conv.weight, None, conv.stride, (0, *conv.padding[1:]))
    if conv.training and _is_faster_in_tiles(conv, x):
        return tiled_conv3d(x, conv.weight)
    output: Tensor = conv(x)
    return output


def _is_faster_in_tiles(conv: nn.Conv3d, x: Tensor) -> bool:
    """Whether fewer products outweigh what it takes to make tiles; float32 on a processor."""
    taps, *sides = conv.kernel_size
    is_plain = type(conv) is nn.Conv3d and conv.groups == 1 and {*conv.stride, *conv.dilation} == {1}
    is_plain = is_plain and conv.bias is None and conv.padding_mode == "zeros"
    if not is_plain or sides != [3, 3] or taps not in (1, 3) or conv.padding != (taps // 2, 1, 1):
        return False
    is_exact = x.is_cpu and x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    least = _LEAST_CHANNELS if taps == 1 else _LEAST_CHANNELS_IN_TIME
    return is_exact and min(x.shape[3:]) > 1 and min(conv.in_channels, conv.out_channels) >= least


class FactoredConv(nn.Module):
    """1×d×d convolution, BatchNorm, ReLU, t×1×1 convolution, both padded to keep sizes; what follows is the caller's.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        middle_channels: between the two.
        kernel: (t, d), odd numbers.
        stride: in time and in space.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        middle_channels: int,
        *,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        (taps, side), (step, pace) = kernel, stride
        self.spatial = nn.Conv3d(
            in_channels, middle_channels, (1, side, side), (1, pace, pace), (0, side // 2, side // 2), bias=False
        )
        self.bn = nn.BatchNorm3d(middle_channels)
        self.relu = nn.ReLU(inplace=True)
        self.temporal = nn.Conv3d(
            middle_channels, out_channels, (taps, 1, 1), (step, 1, 1), (taps // 2, 0, 0), bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, C', T', H', W']`."""
        return convolved(self.temporal, self.relu(self.bn(self.spatial(x))))
