"""The folded network is the trained one, number for number."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import GateError
from cocon.export.artefacts.deployable import Deployable
from cocon.export.artefacts.fold import fold, fold_trunk
from cocon.export.sources import ViewSource
from cocon.training.models.architectures import ARCHITECTURES
from cocon.training.models.convolutions import EdgeConv
from cocon.training.models.encoder import BACKBONES


class Trunk(nn.Module):
    """One layer with its BatchNorm, as large a network as a rule of the fold needs."""

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__()
        self.layer, self.norm = layer, nn.BatchNorm3d(channels)
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.layer(x))
        return y


@pytest.mark.parametrize("num_frames", [1, 2, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "padding"),
    [((3, 3, 3), (1, 1, 1)), ((1, 3, 3), (0, 1, 1)), ((1, 1, 1), (0, 0, 0)), ((3, 1, 1), (1, 0, 0))],
)
def test_a_convolution_equals_its_twin(
    kernel: tuple[int, int, int], padding: tuple[int, int, int], stride: int, num_frames: int
) -> None:
    torch.manual_seed(0)
    trunk = Trunk(nn.Conv3d(3, 5, kernel, stride, padding), 5).eval()
    folded = fold_trunk(trunk, num_frames)
    assert folded is not None
    x = torch.randn(3, 3, num_frames, 9, 8)
    expected = trunk(x)
    assert folded(x).shape == expected.shape
    torch.testing.assert_close(folded(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_that_meets_the_ends_again_equals_its_twin(stride: int, num_frames: int) -> None:
    torch.manual_seed(0)
    trunk = Trunk(EdgeConv(3, 5, 3, stride, 1), 5).eval()
    folded = fold_trunk(trunk, num_frames)
    assert folded is not None
    assert not [part for part in folded.modules() if isinstance(part, nn.Conv3d)]
    x = torch.randn(3, 3, num_frames, 9, 8)
    longer = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    conv = trunk.get_submodule("layer")
    assert isinstance(conv, EdgeConv)
    expected = trunk.norm(F.conv3d(longer, conv.weight, conv.bias, stride, (0, 1, 1)))
    torch.testing.assert_close(trunk(x), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(folded(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_frames", [2, 3, 8])
def test_a_mean_of_neighbouring_moments_equals_its_twin(num_frames: int) -> None:
    trunk = nn.Sequential(nn.AvgPool3d((2, 1, 1), 1)).eval()
    folded = fold_trunk(trunk, num_frames)
    assert folded is not None
    x = torch.randn(3, 2, num_frames, 7, 6)
    torch.testing.assert_close(folded(x), trunk(x), rtol=0, atol=1e-6)
    assert fold_trunk(nn.Sequential(nn.AvgPool3d((2, 2, 1), 1)).eval(), num_frames) is None


@pytest.mark.parametrize("num_frames", [1, 2, 4, 5, 8])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        (3, 1, 1),
        (3, 2, 1),
        ((2, 2, 2), 1, (1, 1, 0)),
        ((5, 1, 1), (3, 1, 1), (2, 0, 0)),
        ((1, 3, 3), (2, 2, 2), (0, 1, 1)),
    ],
)
def test_a_maximum_over_time_equals_its_twin(
    kernel: int | tuple[int, ...], stride: int | tuple[int, ...], padding: int | tuple[int, ...], num_frames: int
) -> None:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.MaxPool3d(kernel, stride, padding)).eval()  # type: ignore[arg-type]  # of any length there
    folded = fold_trunk(trunk, num_frames)
    assert folded is not None
    x = torch.randn(3, 2, num_frames, 7, 6) - 5  # a padding of zeros would show
    assert torch.equal(folded(x), trunk(x))


@pytest.mark.parametrize("num_frames", [8, 16])
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_every_trunk_equals_its_folded_copy(
    backbone: str, num_frames: int, randomise_batch_norms: Callable[[nn.Module], None]
) -> None:
    torch.manual_seed(0)
    trunk = BACKBONES[backbone](2, (1, 2, 1, 1), width=2).eval()
    num_frames = max(num_frames, ARCHITECTURES["s3d_kinetics"].least_frames if backbone == "s3d_kinetics" else 0)
    randomise_batch_norms(trunk)
    for conv in trunk.modules():
        if isinstance(conv, nn.Conv3d):
            nn.init.kaiming_normal_(conv.weight)  # features as large as those of a trained trunk
    folded = fold_trunk(trunk, num_frames)
    assert folded is not None
    assert not [part for part in folded.modules() if isinstance(part, nn.Conv3d | nn.BatchNorm3d | nn.MaxPool3d)]
    x = torch.randn(2, 2, num_frames, 32, 48)
    with torch.no_grad():
        expected, found = trunk(x), folded(x)
    assert found.shape == expected.shape
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    "options",
    [
        {"depths": (1, 1, 1, 1), "frames_per_block": 4, "side_px": 32, "classifier": "mean"},
        {"depths": (2, 1, 1, 2), "frames_per_block": 5, "side_px": 48, "classifier": "gru"},
        {"depths": (1, 2, 2, 1), "frames_per_block": 1, "side_px": 32, "labels": ()},
    ],
)
def test_an_encoder_equals_its_folded_copy(make_source: Callable[..., ViewSource], options: dict[str, object]) -> None:
    source = make_source(**options)
    num_frames = source.contract.clip.frames_per_block
    before = copy.deepcopy(source.encoder.state_dict())
    folded = fold(source.encoder, num_frames)
    assert not [module for module in folded.modules() if isinstance(module, nn.Conv3d | nn.BatchNorm3d | nn.MaxPool3d)]
    clips = torch.randint(0, 256, (3, *source.contract.clip_shape), dtype=torch.uint8)
    with torch.no_grad():
        for expected, found in zip(Deployable(source.encoder)(clips), Deployable(folded)(clips), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    for name, tensor in source.encoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name


class Flattened(nn.Module):
    """Looks at the shape of its input, so time cannot be moved behind its back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(3).mean(dim=3)


class Unpacked(nn.Module):
    """Asks for the numbers in its input's shape, which a trace does not have."""

    def forward(self, x: Tensor) -> Tensor:
        batch, *_ = x.shape
        return x[:batch]


class Shared(nn.Module):
    """Two BatchNorms after one convolution: neither can go into its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 3, 1)
        self.norms = nn.ModuleList([nn.BatchNorm3d(3), nn.BatchNorm3d(3)])

    def forward(self, x: Tensor) -> Tensor:
        for norm in self.norms:
            x = norm(self.conv(x))
        return x


class Joined(nn.Module):
    """Lays its input twice along a dimension that is not the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, x), dim=self.dim)


@pytest.mark.parametrize(
    "trunk",
    [
        Flattened(),
        Unpacked(),
        Shared(),
        nn.Sequential(nn.BatchNorm3d(3)),
        nn.Sequential(nn.Conv3d(3, 3, 3, groups=3, padding=1)),
        nn.Sequential(nn.MaxPool3d(3, 2, 1, ceil_mode=True)),
        nn.Sequential(nn.MaxPool3d(3, 1, 1, dilation=2)),
        Joined(dim=2),
        Joined(dim=-4),
        nn.Sequential(nn.Conv3d(3, 3, 3, padding="same")),
    ],
)
def test_a_trunk_without_a_twin_is_left_alone(trunk: nn.Module) -> None:
    assert fold_trunk(trunk.eval(), 4) is None


def test_an_encoder_whose_trunk_cannot_be_folded_is_returned_itself(make_source: Callable[..., ViewSource]) -> None:
    encoder = make_source().encoder
    encoder.backbone.maxpool = nn.AvgPool3d(3, (1, 2, 2), 1)
    assert fold(encoder, 4) is encoder


def test_an_encoder_in_training_mode_is_refused(make_source: Callable[..., ViewSource]) -> None:
    encoder = make_source().encoder
    encoder.backbone.bn1.train()
    with pytest.raises(GateError, match=r"'backbone\.bn1' of the encoder is in training mode"):
        Deployable(encoder)
