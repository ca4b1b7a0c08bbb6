"""The trunks there are: where a name in a configuration or a contract meets a class."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from cocon.training.models.r2plus1d import R2Plus1d
from cocon.training.models.rectified import RectifiedResNet2d3d
from cocon.training.models.resnet2d import BottleneckResNet2d, ResNet2d
from cocon.training.models.resnet2d3d import ResNet2d3d
from cocon.training.models.s3d import MIN_FRAMES, MIN_SIDE_PX, S3d
from cocon.training.models.trunk import Trunk

__all__ = [
    "BACKBONES",
    "BOTTLENECK_DEPTHS",
    "BOTTLENECK_OF",
    "DEPTHS",
    "FRAME_BACKBONES",
    "LEAST_BLOCKS",
    "RECOMPUTING_BACKBONES",
    "UNSTAGED_BACKBONES",
]

# Residual blocks in each of the four stages, basic ones and bottlenecks.
DEPTHS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
)
BOTTLENECK_DEPTHS: Mapping[str, tuple[int, ...]] = MappingProxyType({"resnet50": (3, 4, 6, 3)})

# (channels of the view, residual blocks per stage, width=channels of the first stage) → trunk
BACKBONES: Mapping[str, Callable[..., Trunk]] = MappingProxyType(
    {
        "resnet2d3d": ResNet2d3d,
        "resnet2d3d_relu": RectifiedResNet2d3d,
        "resnet2d": ResNet2d,
        "resnet2d_bottleneck": BottleneckResNet2d,
        "s3d": S3d,
        "r2plus1d": R2Plus1d,
        "r2plus1d_vicc": partial(R2Plus1d, fully_factored=True),
    }
)

# Those that look at single frames.
FRAME_BACKBONES: Sequence[str] = ("resnet2d",)
# ResNet-34 and ResNet-50 have equally many blocks: the contract's name of the trunk tells them apart.
BOTTLENECK_OF: Mapping[str, str] = MappingProxyType({"resnet2d": "resnet2d_bottleneck"})
# Those of one depth, without residual blocks to count.
UNSTAGED_BACKBONES: Sequence[str] = ("s3d",)
# Those that can compute activations again instead of keeping them.
RECOMPUTING_BACKBONES: Sequence[str] = ("resnet2d3d", "resnet2d3d_relu", "resnet2d")
# The smallest block of frames, (T, pixels of a side), where a trunk does not take every one.
LEAST_BLOCKS: Mapping[str, tuple[int, int]] = MappingProxyType({"s3d": (MIN_FRAMES, MIN_SIDE_PX)})
