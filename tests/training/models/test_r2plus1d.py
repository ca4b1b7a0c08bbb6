"""R(2+1)D: shapes and sizes of its two forms, and what a block computes."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.embedding.contract import EncoderSpec
from cocon.training.config.files import load_config
from cocon.training.models.convolutions import FactoredConv
from cocon.training.models.encoder import BACKBONES, build_encoder
from cocon.training.models.r2plus1d import R2Plus1d, R2Plus1dBlock, num_middle_channels
from cocon.video.views import VIEWS

R10, R18 = (1, 1, 1, 1), (2, 2, 2, 2)


@pytest.mark.parametrize(
    ("backbone", "depths", "num_parameters", "num_entries"),
    [
        ("r2plus1d", R18, 31_300_125, 222),
        # With a head of four entries and the prototypes these are ViCC's 149.
        ("r2plus1d_vicc", R10, 14_365_303, 144),
    ],
)
def test_a_trunk_has_the_published_number_of_parameters(
    backbone: str, depths: Sequence[int], num_parameters: int, num_entries: int
) -> None:
    with torch.device("meta"):
        trunk = BACKBONES[backbone](3, depths, width=64)
    assert sum(parameter.numel() for parameter in trunk.parameters()) == num_parameters
    assert len(trunk.state_dict()) == num_entries


def test_the_forms_differ_in_the_stem_in_second_convolutions_and_in_shortcuts() -> None:
    with torch.device("meta"):
        common, formula = (BACKBONES[name](3, R10, width=64).state_dict() for name in ("r2plus1d", "r2plus1d_vicc"))
    channels = {
        name: tuple(form[f"{name}.spatial.weight"].shape[0] for form in (common, formula))
        for name in ("conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2", "layer4.0.conv2")
    }
    assert channels == {
        "conv1": (45, 83),
        "layer1.0.conv2": (144, 144),
        "layer2.0.conv1": (230, 230),
        "layer2.0.conv2": (230, 288),
        "layer4.0.conv2": (921, 1152),
    }
    assert common["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1, 1)
    assert formula["layer2.0.downsample.0.spatial.weight"].shape == (42, 64, 1, 1, 1)
    assert formula["layer2.0.downsample.0.temporal.weight"].shape == (128, 42, 1, 1, 1)


@pytest.mark.parametrize(("in_channels", "out_channels"), [(64, 64), (64, 128), (256, 512)])
def test_a_factored_convolution_has_about_as_many_weights_as_the_whole_one(in_channels: int, out_channels: int) -> None:
    middle = num_middle_channels(in_channels, out_channels)
    factored = FactoredConv(in_channels, out_channels, middle)
    num_weights = factored.spatial.weight.numel() + factored.temporal.weight.numel()
    num_whole = 27 * in_channels * out_channels
    assert 0 <= num_whole - num_weights < 9 * in_channels + 3 * out_channels  # one more channel would be too many
    assert num_middle_channels(1, 1, (1, 1)) == 1


@pytest.mark.parametrize("fully_factored", [False, True])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(("num_frames", "side_px"), [(1, 16), (2, 17), (8, 32), (9, 48)])
def test_time_shrinks_eight_times_and_space_sixteen(
    num_frames: int, side_px: int, width: int, fully_factored: bool
) -> None:
    with torch.device("meta"):
        trunk = R2Plus1d(2, R10, width=width, fully_factored=fully_factored).eval()
        output = trunk(torch.zeros(2, 2, num_frames, side_px, side_px))
    cells = -(-side_px // 16)
    assert trunk.out_channels == 8 * width
    assert output.shape == (2, 8 * width, -(-num_frames // 8), cells, cells)


@pytest.mark.parametrize("fully_factored", [False, True])
def test_a_block_is_convolutions_of_frames_and_of_lines_in_time_and_a_strided_shortcut(
    fully_factored: bool, randomise: Callable[[nn.Module], None]
) -> None:
    torch.manual_seed(0)
    block = R2Plus1dBlock(3, 4, stride=2, fully_factored=fully_factored).eval()
    randomise(block)
    assert block.downsample is not None
    x = torch.randn(2, 3, 5, 6, 7)
    out = torch.relu(block.bn1(_factored(block.conv1, x, stride=2, padding=1)))
    out = block.bn2(_factored(block.conv2, out, stride=1, padding=1))
    first, norm = block.downsample.children()
    if fully_factored:
        assert isinstance(first, FactoredConv)
        shortcut = _factored(first, x, stride=2, padding=0)
    else:
        shortcut = torch.einsum("oi,bithw->bothw", first.get_parameter("weight")[..., 0, 0, 0], x[..., ::2, ::2, ::2])
    expected = torch.relu(out + norm(shortcut))
    assert expected.shape == (2, 4, 3, 3, 4)
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-5)


def _factored(conv: FactoredConv, x: Tensor, *, stride: int, padding: int) -> Tensor:
    """Frame by frame with `conv2d`, then place by place with `conv1d`."""
    frames = [F.conv2d(frame, conv.spatial.weight[:, :, 0], stride=stride, padding=padding) for frame in x.unbind(2)]
    y = torch.relu(conv.bn(torch.stack(frames, dim=2)))  # [B, M, T, H', W']
    rows = [
        [F.conv1d(line, conv.temporal.weight[..., 0, 0], stride=stride, padding=padding) for line in row.unbind(3)]
        for row in y.unbind(3)
    ]
    return torch.stack([torch.stack(row, dim=3) for row in rows], dim=3)  # [B, C', T', H', W']


def test_a_block_without_stride_keeps_its_input_as_shortcut() -> None:
    torch.manual_seed(0)
    block = R2Plus1dBlock(4, 4).eval()
    assert block.downsample is None
    nn.init.zeros_(block.conv2.temporal.weight)
    x = torch.randn(1, 4, 3, 4, 4)
    torch.testing.assert_close(block(x), torch.relu(x))


@pytest.mark.parametrize("backbone", ["r2plus1d", "r2plus1d_vicc"])
def test_a_configuration_builds_the_encoder_of_its_contract(backbone: str) -> None:
    config = load_config("figures", [f"model.backbone={backbone}", "model.depth=resnet10", "model.width=2"])
    spec = config.encoder_spec()
    assert spec == EncoderSpec(backbone, R10, 2)
    encoder = build_encoder(spec, VIEWS["flow"]).eval()
    clips = torch.randint(0, 256, (2, 3, 4, 32, 32, 2), dtype=torch.uint8)
    assert encoder(clips).blocks.shape == (2, 3, 16)


def test_activations_that_no_one_can_compute_again_are_not_promised() -> None:
    with pytest.raises(UsageError, match="checkpoint_activations is not for backbone 'r2plus1d'") as raised:
        load_config("figures", ["model.backbone=r2plus1d", "training.checkpoint_activations=true"])
    assert "\n" not in str(raised.value)
