"""Trunks of pictures that see time: as many channels as those, time halved twice, and the ends of a block met again."""

import pytest
import torch
from torch import Tensor, nn

from cocon.training.models.architectures import BOTTLENECK_DEPTHS, DEPTHS
from cocon.training.models.convolutions import EdgeConv, convolved
from cocon.training.models.encoder import BACKBONES


@pytest.mark.parametrize(
    ("backbone", "depths", "of_pictures"),
    [
        ("resnet2d3d_inflated", DEPTHS["resnet18"], "resnet2d"),
        ("resnet2d3d_inflated", DEPTHS["resnet34"], "resnet2d"),
        ("resnet2d3d_inflated_bottleneck", BOTTLENECK_DEPTHS["resnet50"], "resnet2d_bottleneck"),
    ],
)
def test_a_trunk_has_the_names_and_channels_of_that_of_pictures_and_kernels_of_three_frames_in_two_stages(
    backbone: str, depths: tuple[int, ...], of_pictures: str
) -> None:
    with torch.device("meta"):
        trunk, pictures = (BACKBONES[name](3, depths, width=64) for name in (backbone, of_pictures))
        output = trunk(torch.zeros(2, 3, 5, 224, 224))
    assert output.shape == (2, pictures.out_channels, 2, 7, 7)
    flat = {name: tensor.shape for name, tensor in pictures.state_dict().items()}
    seen = {name: tensor.shape for name, tensor in trunk.state_dict().items()}
    assert flat.keys() == seen.keys()
    longer = {name for name, shape in seen.items() if shape != flat[name]}
    kernels = {name for name, shape in flat.items() if name.startswith(("layer3", "layer4")) and shape[3:] == (3, 3)}
    assert longer == kernels
    assert all(seen[name] == (*flat[name][:2], 3, 3, 3) for name in longer)


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_gradients_in_bfloat16_are_near_those_in_single_precision(num_frames: int) -> None:
    torch.manual_seed(0)
    conv = EdgeConv(16, 16, 3, (1, 1, 1), 1, bias=False).train()
    x, direction = torch.randn(2, 16, num_frames, 8, 8), torch.randn(2, 16, num_frames, 8, 8)

    def gradient() -> Tensor:
        conv.zero_grad()
        (convolved(conv, x).float() * direction).sum().backward()
        assert conv.weight.grad is not None
        return conv.weight.grad.clone()

    exact = gradient()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = gradient()
    assert (rounded - exact).norm() < 0.02 * exact.norm()


def test_recomputed_activations_give_the_same_gradients() -> None:
    torch.manual_seed(0)
    trunk = BACKBONES["resnet2d3d_inflated_bottleneck"](2, (1, 2, 1, 1), width=2).train()
    x, gradients = torch.randn(2, 2, 4, 32, 32), []
    for recomputes in (False, True):
        trunk.zero_grad()
        trunk.checkpoint_activations = recomputes
        trunk(x).square().sum().backward()
        gradients.append([parameter.grad for parameter in trunk.parameters()])
    for kept, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(kept, recomputed)


def test_the_last_features_are_rectified_as_in_the_network_of_pictures() -> None:
    trunk: nn.Module = BACKBONES["resnet2d3d_inflated"](3, (1, 1, 1, 1), width=4).eval()
    features = trunk(torch.randn(1, 3, 5, 64, 64))
    assert features.min() == 0
    assert features.max() > 0
