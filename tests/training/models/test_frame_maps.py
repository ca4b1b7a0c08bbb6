"""Feature maps of single frames: the trunk's own stages, cell by cell of unit length, at any size of picture."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.embedding.contract import EncoderSpec
from cocon.embedding.tracking.box_tracking import tracked_boxes
from cocon.embedding.tracking.propagation import Propagation
from cocon.training.evaluation.tracking.figures import motionless, one_pass_scores
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import VIEWS

INFLATED = ["resnet2d3d_inflated", "resnet2d3d_inflated_bottleneck"]
RESIDUAL = ["resnet2d", "resnet2d_bottleneck", "resnet2d3d", "resnet2d3d_relu", *INFLATED]
STAGES = ["layer1", "layer2", "layer3", "layer4"]


def _encoder(backbone: str, width: int = 4) -> Encoder:
    torch.manual_seed(0)
    return build_encoder(EncoderSpec(backbone, (1, 1, 1, 1), width), VIEWS["rgb"]).eval().requires_grad_(False)


def _frames(count: int = 4, height: int = 64, width: int = 96) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, count, height, width, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("backbone", RESIDUAL)
def test_every_stage_goes_on_to_the_trunks_features(backbone: str) -> None:
    trunk = _encoder(backbone).backbone
    x = torch.randn(1, 3, 4, 64, 96, generator=torch.Generator().manual_seed(0))
    for index, stage in enumerate(STAGES):
        y = trunk.stage_maps(x, stage)
        for later in STAGES[index + 1 :]:
            y = trunk.get_submodule(later)(y)
        assert torch.equal(y.relu() if backbone == "resnet2d3d_relu" else y, trunk(x))


@pytest.mark.parametrize("backbone", RESIDUAL)
def test_cells_are_the_unit_vectors_of_a_stage(backbone: str) -> None:
    encoder, frames = _encoder(backbone), _frames()
    mean, std = (torch.tensor(numbers) for numbers in (VIEWS["rgb"].mean, VIEWS["rgb"].std))
    x = ((frames / 255 - mean) / std).permute(0, 4, 1, 2, 3)
    for stage, stride in zip(STAGES, (4, 8, 16, 32), strict=True):
        maps = encoder.frame_maps(frames, stage)
        halvings = max(0, STAGES.index(stage) - 1) if "2d3d" in backbone else 0
        assert maps.shape[:4] == (2, 4 >> halvings, 64 // stride, 96 // stride)
        expected = F.normalize(encoder.backbone.stage_maps(x, stage).permute(0, 2, 3, 4, 1), dim=-1)
        assert torch.allclose(maps, expected, atol=1e-5)
        lengths = maps.norm(dim=-1)
        assert torch.allclose(lengths[lengths > 0], torch.ones(()))
    assert torch.equal(encoder.frame_maps(frames), encoder.frame_maps(frames, "layer3"))


@pytest.mark.parametrize(("backbone", "stage"), [("resnet2d", "layer4"), ("resnet2d3d", "layer2")])
def test_frames_do_not_see_each_other_before_a_stage_sees_time(backbone: str, stage: str) -> None:
    encoder, frames = _encoder(backbone), _frames()
    together = encoder.frame_maps(frames, stage)
    for index in range(4):
        alone = encoder.frame_maps(frames[:, index : index + 1], stage)
        assert torch.allclose(alone[:, 0], together[:, index], atol=1e-5)


def test_a_cell_is_centred_on_the_pixel_of_its_number_times_the_stride() -> None:
    trunk = _encoder("resnet2d", 16).backbone
    x = torch.randn(1, 3, 1, 160, 160, generator=torch.Generator().manual_seed(0)).requires_grad_()
    trunk.stage_maps(x, "layer2")[0, :, 0, 9, 10].square().sum().backward()
    assert x.grad is not None
    weights = x.grad[0, :, 0].abs().sum(dim=0)  # [H, W]
    places = torch.arange(160.0)
    assert (weights.sum(dim=1) @ places / weights.sum()).item() == pytest.approx(8 * 9, abs=1.5)
    assert (weights.sum(dim=0) @ places / weights.sum()).item() == pytest.approx(8 * 10, abs=1.5)


def test_a_stage_that_a_trunk_does_not_have_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(UsageError, match="stage 'layer5' is unknown; available: layer1, layer2, layer3, layer4"):
        _encoder("resnet2d").frame_maps(_frames(), "layer5")
    with pytest.raises(UsageError, match="stage 'layer3' is unknown; available: none, only residual trunks"):
        _encoder("s3d").frame_maps(_frames())


class _FrameMaps(torch.nn.Module):
    """What an export of the maps would wrap."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, frames: Tensor) -> Tensor:
        return self.encoder.frame_maps(frames, "layer2")


def test_maps_can_be_traced() -> None:
    encoder, frames = _encoder("resnet2d3d"), _frames()
    program = torch.export.export(_FrameMaps(encoder), (frames,)).module()
    other = frames.flip(1, 2)
    assert torch.allclose(program(other), encoder.frame_maps(other, "layer2"), atol=1e-6)


def _texture(rng: np.random.Generator, side: int = 256) -> NDArray[np.float64]:
    """Coloured blotches of about eight pixels: `float64 [side, side, 3]`, in bytes."""
    blotches = rng.standard_normal((side, side, 3))
    for axis in (0, 1):
        for _ in range(3):
            blotches = sum(np.roll(blotches, shift, axis) for shift in range(-2, 3)) / 5
    return 128 + 45 * blotches / blotches.std()


def test_features_of_an_untrained_network_follow_a_textured_square() -> None:
    rng = np.random.default_rng(0)
    ground, target = _texture(rng), _texture(rng)
    boxes = np.array([[20.0 + 4 * f, 30.0 + 2 * f, 48, 48] for f in range(14)])
    frames = np.tile(ground[:128, :160], (len(boxes), 1, 1, 1))
    for frame, (x, y, width, height) in zip(frames, boxes.astype(int), strict=True):
        frame[y : y + height, x : x + width] = target[:height, :width]
    noisy = np.clip(frames + rng.normal(0, 6, frames.shape), 0, 255).astype(np.uint8)
    (maps,) = _encoder("resnet2d", 8).frame_maps(torch.from_numpy(noisy)[None], "layer2").numpy()
    near = Propagation(num_context=4, num_neighbours=5, radius_cells=6.0)
    tracked = tracked_boxes(maps, boxes[0], 128, 160, near, offset_cells=7 / 16)
    scores = one_pass_scores(np.stack([each.box for each in tracked]), boxes)
    still = one_pass_scores(motionless(boxes), boxes)
    assert still.success_auc < 0.35
    assert scores.success_auc > 0.65
    assert scores.precision_at_20_px == 1.0 > still.precision_at_20_px
