"""What a convolution in time needs where a library of the CPU computes its gradient wrongly."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["convolved"]


def convolved(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """`conv(x)`; where oneDNN's bfloat16 weight gradient is wrong, time is padded beforehand instead.

    With more than one frame but fewer than the kernel has taps, it uses memory that is not its own (PyTorch 2.13, CPU):
    the gradient is off by more than its own size, now and then not finite, and seven taps over five frames end the
    process.

    Args:
        conv: without bias, padded by half a kernel in time.
        x: `float [B, C, T, H, W]`.
    """
    if conv.training and torch.is_autocast_enabled("cpu") and x.is_cpu and 1 < x.shape[2] < conv.kernel_size[0]:
        frames = conv.kernel_size[0] // 2
        padded = F.pad(x, (0, 0, 0, 0, frames, frames))
        return F.conv3d(padded, conv.weight, None, conv.stride, (0, *conv.padding[1:]))
    output: Tensor = conv(x)
    return output
