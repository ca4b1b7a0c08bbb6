"""S3D: shapes and sizes of the published network, and what its layers compute."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.embedding.contract import EncoderSpec
from cocon.training.config.files import load_config
from cocon.training.models.architectures import ARCHITECTURES
from cocon.training.models.convolutions import FactoredConv
from cocon.training.models.encoder import build_encoder
from cocon.training.models.s3d import S3d, SeparableConv, SeparableInception
from cocon.video.views import VIEWS

MIN_FRAMES, MIN_SIDE_PX = ARCHITECTURES["s3d"].least_frames, ARCHITECTURES["s3d"].least_side_px


def _tiny(*, width: int = 2, in_channels: int = 3) -> S3d:
    torch.manual_seed(0)
    return S3d(in_channels, (), width=width).eval()


def test_every_layer_has_the_published_shape() -> None:
    with torch.device("meta"):
        trunk, block = S3d(3, ()), torch.zeros(1, 3, 32, 128, 128)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in trunk.layers.named_children():
        layer.register_forward_hook(
            lambda _layer, _inputs, output, name=name: shapes.update({name: tuple(output.shape[1:])})
        )
    assert trunk.eval()(block).shape == (1, trunk.out_channels, 4, 4, 4) == (1, 1024, 4, 4, 4)
    assert shapes == {
        "conv_1a": (64, 16, 64, 64),
        "maxpool_2a": (64, 16, 32, 32),
        "conv_2b": (64, 16, 32, 32),
        "conv_2c": (192, 16, 32, 32),
        "maxpool_3a": (192, 16, 16, 16),
        "mixed_3b": (256, 16, 16, 16),
        "mixed_3c": (480, 16, 16, 16),
        "maxpool_4a": (480, 8, 8, 8),
        "mixed_4b": (512, 8, 8, 8),
        "mixed_4c": (512, 8, 8, 8),
        "mixed_4d": (512, 8, 8, 8),
        "mixed_4e": (528, 8, 8, 8),
        "mixed_4f": (832, 8, 8, 8),
        "maxpool_5a": (832, 4, 4, 4),
        "mixed_5b": (832, 4, 4, 4),
        "mixed_5c": (1024, 4, 4, 4),
    }


def test_the_trunk_has_the_published_number_of_parameters_and_entries() -> None:
    with torch.device("meta"):
        trunk = S3d(3, ())
    assert sum(parameter.numel() for parameter in trunk.parameters()) == 7_910_048
    # ViCC's checkpoints list each of them twice, and add a head of four and the prototypes: 929.
    assert 2 * len(trunk.state_dict()) + 5 == 929


@pytest.mark.parametrize("width", [1, 2, 3, 7])
@pytest.mark.parametrize(("num_frames", "side_px"), [(5, 17), (8, 32), (11, 48), (16, 65)])
def test_space_and_time_shrink_as_documented_at_any_width(width: int, num_frames: int, side_px: int) -> None:
    with torch.device("meta"):
        trunk, block = S3d(2, (1, 2, 3), width=width).eval(), torch.zeros(2, 2, num_frames, side_px, side_px + 16)
    cells = [-(-size // 16) // 2 for size in (side_px, side_px + 16)]
    assert trunk.out_channels == 16 * width
    assert trunk(block).shape == (2, 16 * width, -(-num_frames // 4) // 2, *cells)


@pytest.mark.parametrize(("num_frames", "side_px"), [(MIN_FRAMES - 1, 32), (8, MIN_SIDE_PX - 1)])
def test_a_smaller_block_than_the_least_leaves_nothing(num_frames: int, side_px: int) -> None:
    assert _tiny()(torch.randn(1, 3, MIN_FRAMES, MIN_SIDE_PX, MIN_SIDE_PX)).shape == (1, 32, 1, 1, 1)
    with pytest.raises(RuntimeError, match="Output size is too small"):
        _tiny()(torch.randn(1, 3, num_frames, side_px, side_px))


def test_a_separable_convolution_is_one_over_space_and_one_over_time_each_normed_and_rectified(
    randomise: Callable[[nn.Module], None],
) -> None:
    torch.manual_seed(0)
    layer = SeparableConv(3, 4, side=7, stride=2).eval()
    randomise(layer)
    x = torch.randn(2, 3, 8, 9, 10)
    frames = x.transpose(1, 2).flatten(0, 1)  # [B·T, C, H, W]
    y = F.conv2d(frames, layer.conv.spatial.weight[:, :, 0], stride=2, padding=3)
    y = torch.relu(_normed(y, layer.conv.bn)).reshape(2, 8, 4, 5, 5)  # [B, T, C', H', W']
    lines = y.permute(0, 3, 4, 2, 1).flatten(0, 2)  # [B·H'·W', C', T]
    z = F.conv1d(lines, layer.conv.temporal.weight[..., 0, 0], stride=2, padding=3)
    z = torch.relu(_normed(z, layer.bn)).reshape(2, 5, 5, 4, 4).permute(0, 3, 4, 1, 2)  # [B, C', T', H', W']
    torch.testing.assert_close(layer(x), z, rtol=0, atol=1e-5)


def _normed(x: Tensor, norm: nn.BatchNorm3d) -> Tensor:
    """What a BatchNorm computes in evaluation, whatever the number of dimensions."""
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def test_an_inception_block_lays_its_branches_side_by_side() -> None:
    torch.manual_seed(0)
    block = SeparableInception(3, (1, 2, 3, 4, 5, 6)).eval()
    x = torch.randn(2, 3, 4, 6, 6)
    padded = F.pad(x, (1, 1, 1, 1, 1, 1), value=-torch.inf)
    near = padded.unfold(2, 3, 1).unfold(3, 3, 1).unfold(4, 3, 1).amax((5, 6, 7))
    parts = block(x).split([1, 3, 5, 6], dim=1)
    point, one, two = block.branch0, block.branch1, block.branch2
    pooled = block.branch3[1]
    for found, expected in zip(parts, (point(x), one[1](one[0](x)), two[1](two[0](x)), pooled(near)), strict=True):
        torch.testing.assert_close(found, expected)
    assert [one[0].conv.out_channels, two[0].conv.out_channels] == [2, 4]


def test_weights_start_small_and_within_two_deviations() -> None:
    trunk = _tiny(width=16)
    weights = [module.weight for module in trunk.modules() if isinstance(module, nn.Conv3d)]
    assert len(weights) == 77
    assert max(weight.abs().max().item() for weight in weights) <= 0.02
    assert torch.cat([weight.flatten() for weight in weights]).std().item() == pytest.approx(0.0088, rel=0.02)


@pytest.mark.parametrize(("taps", "num_frames"), [(7, 5), (7, 6), (3, 2)])
def test_bfloat16_gives_the_gradients_of_float32_where_a_kernel_is_longer_than_a_block(
    taps: int, num_frames: int
) -> None:
    torch.manual_seed(0)
    layer = FactoredConv(8, 64, 64, kernel=(taps, 1))
    clips = torch.randn(8, 8, num_frames, 4, 4)
    gradients = []
    for is_reduced in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_reduced):
            output = layer(clips)
        output.float().square().mean().backward()
        assert layer.temporal.weight.grad is not None
        gradients.append(layer.temporal.weight.grad.clone())
    assert (gradients[1] - gradients[0]).norm() < 0.1 * gradients[0].norm()


def test_the_contract_of_an_encoder_counts_no_blocks_and_builds_it_again() -> None:
    config = load_config("figures", ["model.backbone=s3d", "model.depth=none", "model.width=2", *_LEAST])
    spec = config.encoder_spec()
    assert spec == EncoderSpec("s3d", (), 2)
    encoder = build_encoder(spec, VIEWS["rgb"]).eval()
    clips = torch.randint(0, 256, (2, 3, 5, 32, 32, 3), dtype=torch.uint8)
    assert encoder(clips).blocks.shape == (2, 3, 32)


_LEAST = ("clip.frames_per_block=5",)


@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        (["clip.frames_per_block=4"], "clip.frames_per_block (4) must be at least 5"),
        ([*_LEAST, "view.rgb.crop_px=16"], "the crop of view 'rgb' (16 px) must be at least 17 px"),
        ([*_LEAST, "training.checkpoint_activations=true"], "is not for backbone 's3d', which keeps all it computes"),
    ],
)
def test_a_configuration_that_the_trunk_cannot_do_with_is_refused_in_one_line(overrides: list[str], rule: str) -> None:
    assert load_config("figures", ["model.backbone=s3d", *_LEAST]).model.backbone == "s3d"
    with pytest.raises(UsageError) as raised:
        load_config("figures", ["model.backbone=s3d", *overrides])
    assert rule in str(raised.value)
    assert "\n" not in str(raised.value)
