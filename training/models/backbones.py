"""The trunks there are: where a name in a contract meets a class."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from cocon.training.models.r2plus1d import R2Plus1d
from cocon.training.models.resnet2d import BottleneckResNet2d, ResNet2d
from cocon.training.models.resnet2d3d import RectifiedResNet2d3d, ResNet2d3d
from cocon.training.models.s3d import S3d
from cocon.training.models.trunk import Trunk

__all__ = ["BACKBONES"]

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
