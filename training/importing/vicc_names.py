"""Names of the tensors of ViCC's trunks, and what they are here.

| S3D there | here |
|---|---|
| `Conv_1a`, `Conv_2b`, `Conv_2c`, `Mixed_3b` … `Mixed_5c` | `layers.conv_1a` … `layers.mixed_5c` |
| the same again as `block1.0`, `block2.{1,2}`, `block3.{1,2}`, `block4.{1..5}`, `block5.{1,2}` | |
| `conv1`, `bn1`, `conv2`, `bn2` of a separable convolution | `conv.spatial`, `conv.bn`, `conv.temporal`, `bn` |
| `branch0.0` | `branch0` |

| R(2+1)D there | here |
|---|---|
| `conv1`, `bn1` | the same |
| `conv2.block1` … `conv5.block1`, `conv2.blocks.0`, … | `layer1.0` … `layer4.0`, `layer1.1`, … |
| `spatial_conv`, `temporal_conv` | `spatial`, `temporal` |
| `downsampleconv`, `downsamplebn` | `downsample.0`, `downsample.1` |
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["R2PLUS1D_STEM", "S3D_STEM", "first_s3d_name", "r2plus1d_name", "s3d_name"]

# Convolution that sees the frames.
S3D_STEM = "Conv_1a.conv1.weight"
R2PLUS1D_STEM = "conv1.spatial_conv.weight"

_FIRST_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "block1.0": "Conv_1a",
        "block2.1": "Conv_2b",
        "block2.2": "Conv_2c",
        "block3.1": "Mixed_3b",
        "block3.2": "Mixed_3c",
        **{f"block4.{index}": f"Mixed_4{letter}" for index, letter in enumerate("bcdef", start=1)},
        "block5.1": "Mixed_5b",
        "block5.2": "Mixed_5c",
    }
)
_S3D_RULES = (
    (r"^layers\.c", "C"),
    (r"^layers\.m", "M"),
    (r"\.branch0\.", ".branch0.0."),
    (r"\.conv\.spatial\.", ".conv1."),
    (r"\.conv\.bn\.", ".bn1."),
    (r"\.conv\.temporal\.", ".conv2."),
    (r"^(Conv_1a|Conv_2c|\w+\.branch[12]\.1)\.bn\.", r"\1.bn2."),
)
_R2PLUS1D_RULES = (
    (r"\.spatial\.", ".spatial_conv."),
    (r"\.temporal\.", ".temporal_conv."),
    (r"\.downsample\.0\.", ".downsampleconv."),
    (r"\.downsample\.1\.", ".downsamplebn."),
)


def s3d_name(name: str) -> str:
    """ViCC's name of a tensor of `S3d`, the first of the two."""
    for pattern, replacement in _S3D_RULES:
        name = re.sub(pattern, replacement, name)
    return name


def first_s3d_name(name: str) -> str:
    """The name to keep of a tensor of S3D that ViCC registers twice."""
    first, dot, rest = name.partition(".")
    second, _, rest = rest.partition(".")
    module = f"{first}.{second}"
    return f"{_FIRST_NAMES[module]}{dot}{rest}" if module in _FIRST_NAMES else name


def r2plus1d_name(name: str) -> str:
    """ViCC's name of a tensor of `R2Plus1d`."""
    for pattern, replacement in _R2PLUS1D_RULES:
        name = re.sub(pattern, replacement, name)
    return re.sub(r"^layer(\d)\.(\d+)\.", _block_name, name)


def _block_name(match: re.Match[str]) -> str:
    stage, block = int(match[1]), int(match[2])
    return f"conv{stage + 1}." + (f"blocks.{block - 1}." if block else "block1.")
