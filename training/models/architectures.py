"""The trunks that a configuration may name, and what is to be known of each before it is built.

Their classes are named in `encoder.py`; this module knows nothing of torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["ARCHITECTURES", "BOTTLENECK_DEPTHS", "BOTTLENECK_OF", "DEPTHS", "Architecture", "BackboneName"]

BackboneName = Literal[
    "resnet2d3d",
    "resnet2d3d_relu",
    "resnet2d",
    "resnet2d3d_inflated",
    "s3d",
    "s3d_kinetics",
    "r2plus1d",
    "r2plus1d_vicc",
]

# Residual blocks in each of the four stages, basic ones and bottlenecks.
DEPTHS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
)
BOTTLENECK_DEPTHS: Mapping[str, tuple[int, ...]] = MappingProxyType({"resnet50": (3, 4, 6, 3)})
# ResNet-34 and ResNet-50 have equally many blocks: the contract's name of the trunk tells them apart.
BOTTLENECK_OF: Mapping[str, str] = MappingProxyType(
    {"resnet2d": "resnet2d_bottleneck", "resnet2d3d_inflated": "resnet2d3d_inflated_bottleneck"}
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a configuration must know of a trunk.

    Attributes:
        depths: residual blocks per stage by the name of a depth; empty for a trunk of one depth.
        sees_single_frames: whether it is for methods that look at single frames.
        recomputes: whether it can compute activations again instead of keeping them.
        least_frames: the smallest T of a block that it takes.
        least_side_px: the smallest side of a frame that it takes.
        cell_px: pixels per cell of its feature map, along a side.
        drops_half_cells: whether what is less than half a cell at the end of a side makes none.
    """

    depths: Mapping[str, tuple[int, ...]]
    sees_single_frames: bool = False
    recomputes: bool = False
    least_frames: int = 1
    least_side_px: int = 1
    cell_px: int = 32
    drops_half_cells: bool = False

    def map_side(self, side_px: int) -> int:
        """Cells along a side of the feature map of a frame of so many pixels."""
        if self.drops_half_cells:
            return -(-2 * side_px // self.cell_px) // 2
        return -(-side_px // self.cell_px)


ARCHITECTURES: Mapping[BackboneName, Architecture] = MappingProxyType(
    {
        "resnet2d3d": Architecture(DEPTHS, recomputes=True),
        "resnet2d3d_relu": Architecture(DEPTHS, recomputes=True),
        "resnet2d": Architecture({**DEPTHS, **BOTTLENECK_DEPTHS}, sees_single_frames=True, recomputes=True),
        "resnet2d3d_inflated": Architecture({**DEPTHS, **BOTTLENECK_DEPTHS}, recomputes=True),
        # Of which two are left before stage five: two halvings of time, four of space, rounding up.
        "s3d": Architecture({}, least_frames=5, least_side_px=17, drops_half_cells=True),
        # Twice as many, of which the last mean makes one.
        "s3d_kinetics": Architecture({}, least_frames=13, least_side_px=17, drops_half_cells=True),
        "r2plus1d": Architecture(DEPTHS, cell_px=16),
        "r2plus1d_vicc": Architecture(DEPTHS, cell_px=16),
    }
)
