"""A residual trunk of pictures whose last two stages see time: what a ResNet of ImageNet becomes for video.

Names, channels and shapes are those of `ResNet2d`, but that the 3×3 kernels of stages three and four are 3×3×3 and
halve time as they halve space. A kernel of pictures is *inflated* by repeating it over time and dividing it by the
repetitions (Carreira and Zisserman 2017); the ends of a block are met again outside of it instead of zeros, so that a
video in which nothing moves then gives exactly what the network of pictures gives. Unlike `ResNet2d3d`, the published
trunk of DPC and CoCon, it has 8·width channels in the last stage, and features that are rectified.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from torch import nn

from cocon.training.models.convolutions import EdgeConv
from cocon.training.models.resnet2d import EXPANSION, Bottleneck
from cocon.training.models.trunk import ResidualBlock, ResidualTrunk, residual_stages

__all__ = ["InflatedBottleneckResNet", "InflatedResNet"]


class InflatedResNet(ResidualTrunk):
    """Basic blocks: `float [B, C, T, H, W]` to `float [B, 8·width, ceil(T/4), ceil(H/32), ceil(W/32)]`."""

    def stages(self, depths: Sequence[int], width: int) -> Iterable[nn.Sequential]:
        """Two stages of single frames, two of time."""
        self.out_channels = 8 * width
        return _stages(partial(ResidualBlock, convolution=EdgeConv), depths, width, expansion=1)


class InflatedBottleneckResNet(ResidualTrunk):
    """Bottlenecks: `float [B, C, T, H, W]` to `float [B, 32·width, ceil(T/4), ceil(H/32), ceil(W/32)]`."""

    def stages(self, depths: Sequence[int], width: int) -> Iterable[nn.Sequential]:
        """Two stages of single frames, two of time."""
        self.out_channels = 8 * width * EXPANSION
        return _stages(Bottleneck, depths, width, expansion=EXPANSION)


def _stages(
    block: Callable[..., nn.Module], depths: Sequence[int], width: int, *, expansion: int
) -> Iterator[nn.Sequential]:
    still, moving = (partial(block, sees_time=sees_time) for sees_time in (False, True))
    channels = [width << stage for stage in range(4)]
    yield from residual_stages(still, width, channels[:2], depths[:2], strides=(1, 2), expansion=expansion)
    between = expansion * channels[1]
    yield from residual_stages(moving, between, channels[2:], depths[2:], strides=(2, 2), expansion=expansion)
