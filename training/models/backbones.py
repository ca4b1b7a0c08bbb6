"""The trunks there are: where a name in a configuration or a contract meets a class."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from cocon.training.models.rectified import RectifiedResNet2d3d
from cocon.training.models.resnet2d import BottleneckResNet2d, ResNet2d
from cocon.training.models.resnet2d3d import ResNet2d3d
from cocon.training.models.trunk import Trunk

__all__ = ["BACKBONES", "BOTTLENECK_DEPTHS", "BOTTLENECK_OF", "DEPTHS", "FRAME_BACKBONES"]

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
    }
)

# Those that look at single frames.
FRAME_BACKBONES: Sequence[str] = ("resnet2d",)
# ResNet-34 and ResNet-50 have equally many blocks: the contract's name of the trunk tells them apart.
BOTTLENECK_OF: Mapping[str, str] = MappingProxyType({"resnet2d": "resnet2d_bottleneck"})
