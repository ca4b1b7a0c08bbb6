"""The 2D-3D trunk: shapes and sizes of the paper's networks, and what each stage sees."""

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.export.artefacts.fold import fold_trunk
from cocon.training.models.architectures import DEPTHS
from cocon.training.models.resnet2d3d import RectifiedResNet2d3d, ResNet2d3d
from cocon.training.models.trunk import ResidualBlock

STAGES = ("maxpool", "layer1", "layer2", "layer3", "layer4")


def _tiny(*, in_channels: int = 3, width: int = 4) -> ResNet2d3d:
    torch.manual_seed(0)
    return ResNet2d3d(in_channels, DEPTHS["resnet10"], width=width).eval()


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("depth", "size", "expected"),
    [
        ("resnet18", 128, [(64, 5, 32, 32), (64, 5, 32, 32), (128, 5, 16, 16), (256, 3, 8, 8), (256, 2, 4, 4)]),
        ("resnet34", 224, [(64, 5, 56, 56), (64, 5, 56, 56), (128, 5, 28, 28), (256, 3, 14, 14), (256, 2, 7, 7)]),
        ("resnet18", 64, [(64, 5, 16, 16), (64, 5, 16, 16), (128, 5, 8, 8), (256, 3, 4, 4), (256, 2, 2, 2)]),
    ],
)
def test_every_stage_has_the_papers_shape(depth: str, size: int, expected: list[tuple[int, ...]]) -> None:
    with torch.device("meta"):  # shapes without arithmetic
        trunk, block = ResNet2d3d(3, DEPTHS[depth]), torch.zeros(1, 3, 5, size, size)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in STAGES:
        trunk.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: shapes.update({name: tuple(output.shape[1:])})
        )
    trunk(block)
    assert [shapes[name] for name in STAGES] == expected


@pytest.mark.parametrize(("depth", "expected"), [("resnet18", 14_057_536), ("resnet34", 32_422_208)])
def test_the_rgb_trunk_has_the_released_number_of_parameters(depth: str, expected: int) -> None:
    with torch.device("meta"):
        assert _num_parameters(ResNet2d3d(3, DEPTHS[depth])) == expected


@pytest.mark.parametrize("in_channels", [1, 2, 17])
def test_only_the_first_convolution_depends_on_the_view(in_channels: int) -> None:
    trunk = _tiny(in_channels=in_channels)
    assert trunk(torch.rand(2, in_channels, 5, 32, 32)).shape == (2, 16, 2, 1, 1)
    assert _num_parameters(trunk) - _num_parameters(_tiny(in_channels=1)) == (in_channels - 1) * 4 * 49


@pytest.mark.parametrize("num_frames", [1, 2, 4, 5, 8])
@pytest.mark.parametrize("size", [32, 48, 65])
def test_time_shrinks_four_times_and_space_thirty_two(num_frames: int, size: int) -> None:
    output = _tiny()(torch.rand(1, 3, num_frames, size, size))
    assert output.shape == (1, 16, -(-num_frames // 4), -(-size // 32), -(-size // 32))


def test_features_are_signed_since_only_the_last_block_has_no_relu() -> None:
    torch.manual_seed(0)
    trunk = ResNet2d3d(3, DEPTHS["resnet18"], width=4).eval()
    blocks = [module for module in trunk.modules() if isinstance(module, ResidualBlock)]
    outputs: list[Tensor] = []
    for block in blocks:
        block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    features = trunk(torch.randn(2, 3, 5, 64, 64))
    assert 0.2 < (features < 0).float().mean() < 0.8
    assert len(outputs) == 8
    assert all((output >= 0).all() for output in outputs[:-1])


def test_the_first_two_stages_see_single_frames_and_the_last_two_see_time() -> None:
    trunk = _tiny()
    clip = torch.randn(1, 3, 5, 32, 32)
    changed = clip.clone()
    changed[:, :, 2] += 1.0
    early = nn.Sequential(trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool, trunk.layer1, trunk.layer2)
    with torch.no_grad():
        difference = (early(clip) - early(changed)).abs().amax(dim=(0, 1, 3, 4))  # per frame
        assert (difference > 0).tolist() == [False, False, True, False, False]
        late_difference = (trunk.layer3(early(clip)) - trunk.layer3(early(changed))).abs().amax(dim=(0, 1, 3, 4))
    assert (late_difference > 0).all()


def test_a_residual_block_is_its_two_convolutions_plus_the_shortcut() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4, 4, sees_time=True, stride=1).eval()
    x = torch.randn(2, 4, 3, 5, 5)
    inner = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    assert torch.allclose(block(x), torch.relu(inner + x))
    assert block.downsample is None
    strided = ResidualBlock(4, 8, sees_time=True, stride=2).eval()
    assert strided.downsample is not None
    assert strided(x).shape == (2, 8, 2, 3, 3)
    assert ResidualBlock(4, 8, sees_time=False, stride=2)(x).shape == (2, 8, 3, 3, 3)


def test_convolutions_start_from_kaiming_fan_out_and_norms_from_one_and_zero() -> None:
    torch.manual_seed(0)
    trunk = ResNet2d3d(3, DEPTHS["resnet10"], width=16)
    for module in trunk.modules():
        if isinstance(module, nn.Conv3d):
            fan_out = module.out_channels * module.weight[0, 0].numel()
            assert module.bias is None
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
        if isinstance(module, nn.BatchNorm3d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()


def _plain(trunk: ResNet2d3d, x: Tensor) -> Tensor:
    """The description, step by step: the stem rectifies before it pools, everything is contiguous."""
    x = F.conv3d(x.contiguous(), trunk.conv1.weight.contiguous(), stride=(1, 2, 2), padding=(0, 3, 3))
    x = F.max_pool3d(torch.relu(trunk.bn1(x)), (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for block in (*trunk.layer1, *trunk.layer2, *trunk.layer3, *trunk.layer4):
        x = block(x.contiguous())
    return x


def _step(trunk: ResNet2d3d, forward: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Gradients of all parameters, and the buffers after the step."""
    x = torch.randn(6, 3, 5, 48, 48, generator=torch.Generator().manual_seed(1))
    features = forward(x.to(memory_format=torch.channels_last_3d))
    weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    (features * weights).sum().backward()
    gradients = {name: parameter.grad for name, parameter in trunk.named_parameters() if parameter.grad is not None}
    return gradients | {name: buffer.float() for name, buffer in trunk.named_buffers()}


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_a_step_has_the_gradients_and_statistics_of_plain_convolutions(is_checkpointed: bool) -> None:
    torch.manual_seed(0)
    trunk = ResNet2d3d(3, DEPTHS["resnet10"], width=8).train()
    reference = copy.deepcopy(trunk)
    trunk.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
    trunk.checkpoint_activations = is_checkpointed
    steps, expected = _step(trunk, trunk), _step(reference, partial(_plain, reference))
    assert steps.keys() == expected.keys() == trunk.state_dict().keys()
    for name, value in expected.items():
        assert (steps[name] - value).norm() <= 1e-4 * value.norm(), name


def test_checkpointing_keeps_none_of_the_large_maps_between_the_layers_of_a_block() -> None:
    kept_bytes = {}
    for is_checkpointed in (False, True):
        trunk = _tiny(width=8).train()
        trunk.checkpoint_activations = is_checkpointed
        weights = {parameter.data_ptr() for parameter in trunk.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor, weights: set[int] = weights, kept: dict[int, int] = kept) -> Tensor:
            if tensor.data_ptr() not in weights:
                kept[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = trunk(torch.randn(2, 3, 5, 64, 64))
        kept_bytes[is_checkpointed] = sum(kept.values())
        del output
    assert 0 < kept_bytes[True] < 0.4 * kept_bytes[False]


@pytest.mark.parametrize("num_frames", range(1, 6))
@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_gives_the_gradients_of_float32_whatever_the_number_of_frames(num_frames: int, stride: int) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(64, 64, sees_time=True, stride=stride)
    clips = torch.randn(16, 64, num_frames, 4, 4)
    gradients = {}
    for is_reduced in (False, True):
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_reduced):
            output = block(clips)
        output.float().square().mean().backward()
        gradients[is_reduced] = {name: parameter.grad.clone() for name, parameter in block.named_parameters()}
    for name in ("conv1.weight", "conv2.weight"):
        exact, reduced = gradients[False][name], gradients[True][name]
        assert torch.linalg.vector_norm(reduced - exact) < 0.1 * torch.linalg.vector_norm(exact)


def _plain_and_rectified() -> tuple[ResNet2d3d, RectifiedResNet2d3d]:
    torch.manual_seed(0)
    plain, rectified = ResNet2d3d(2, (1, 1, 1, 1), width=4), RectifiedResNet2d3d(2, (1, 1, 1, 1), width=4)
    rectified.load_state_dict(plain.state_dict())
    return plain.eval(), rectified.eval()


def test_rectified_the_same_weights_give_the_positive_part_of_the_features() -> None:
    plain, rectified = _plain_and_rectified()
    x = torch.randn(2, 2, 5, 32, 32)
    features = plain(x)
    assert (features < 0).any()
    assert torch.equal(rectified(x), features.clamp(min=0))


def test_a_rectified_trunk_has_a_two_dimensional_twin_for_export() -> None:
    _, rectified = _plain_and_rectified()
    folded = fold_trunk(rectified, 5)
    assert folded is not None
    x = torch.randn(2, 2, 5, 32, 32)
    assert torch.allclose(folded(x), rectified(x), atol=1e-5)
