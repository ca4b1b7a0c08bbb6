"""The 2-D residual trunks: sizes of the published networks, and frames that do not see each other."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.models.architectures import BOTTLENECK_DEPTHS, DEPTHS
from cocon.training.models.encoder import BACKBONES
from cocon.training.models.resnet2d import Bottleneck
from cocon.training.models.trunk import ResidualBlock


@pytest.mark.parametrize(
    ("backbone", "depths", "num_parameters"),
    [
        ("resnet2d", DEPTHS["resnet18"], 11_176_512),
        ("resnet2d", DEPTHS["resnet34"], 21_284_672),
        ("resnet2d_bottleneck", BOTTLENECK_DEPTHS["resnet50"], 23_508_032),
    ],
)
def test_a_trunk_has_the_published_number_of_parameters(
    backbone: str, depths: tuple[int, ...], num_parameters: int
) -> None:
    with torch.device("meta"):
        trunk = BACKBONES[backbone](3, depths, width=64)
        output = trunk(torch.zeros(2, 3, 1, 224, 224))
    assert sum(parameter.numel() for parameter in trunk.parameters()) == num_parameters
    assert output.shape == (2, trunk.out_channels, 1, 7, 7)
    assert trunk.out_channels == (2048 if backbone == "resnet2d_bottleneck" else 512)


def _layer(block: nn.Module, number: int, x: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolution and BatchNorm of one image, `float [B, C, H, W]`."""
    weight = block.get_parameter(f"conv{number}.weight")[:, :, 0]
    return _normed(F.conv2d(x, weight, stride=stride, padding=padding), block.get_submodule(f"bn{number}"))


def _normed(x: Tensor, norm: nn.Module) -> Tensor:
    assert isinstance(norm, nn.BatchNorm3d)
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_bottleneck_narrows_looks_around_widens_and_adds_the_shortcut(
    stride: int, randomise: Callable[[nn.Module], None]
) -> None:
    torch.manual_seed(0)
    block = Bottleneck(5, 3, stride=stride).eval()
    randomise(block)
    image = torch.randn(2, 5, 6, 7)
    out = torch.relu(_layer(block, 1, image))
    out = torch.relu(_layer(block, 2, out, stride=stride, padding=1))
    assert block.downsample is not None
    shortcut = F.conv2d(image, block.downsample.get_parameter("0.weight")[:, :, 0], stride=stride)
    expected = torch.relu(_layer(block, 3, out) + _normed(shortcut, block.downsample.get_submodule("1")))
    torch.testing.assert_close(block(image[:, :, None])[:, :, 0], expected, rtol=0, atol=1e-5)


def test_a_basic_block_is_two_convolutions_of_images_and_the_shortcut(
    randomise: Callable[[nn.Module], None],
) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4, 4, sees_time=False).eval()
    randomise(block)
    image = torch.randn(2, 4, 6, 7)
    out = torch.relu(_layer(block, 1, image, padding=1))
    expected = torch.relu(_layer(block, 2, out, padding=1) + image)
    torch.testing.assert_close(block(image[:, :, None])[:, :, 0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backbone", ["resnet2d", "resnet2d_bottleneck"])
def test_every_frame_is_seen_by_itself(backbone: str) -> None:
    torch.manual_seed(0)
    trunk = BACKBONES[backbone](3, (1, 1, 1, 1), width=2).eval()
    x = torch.randn(2, 3, 3, 33, 40)
    each = [trunk(frame[:, :, None]) for frame in x.unbind(2)]
    torch.testing.assert_close(trunk(x), torch.cat(each, dim=2), rtol=0, atol=1e-5)
    assert trunk(x).shape == (2, trunk.out_channels, 3, 2, 2)
