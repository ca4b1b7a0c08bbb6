"""A network of pictures that was inflated: of what stands still it says what it said of the picture."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.embedding.contract import ModelContract
from cocon.training.run_folder.files import RunFolder
from cocon.video.clips import ClipSpec
from tests.training.importing.published_trunks.restated import R2Plus1D, ResNet, with_random_numbers

Import = Callable[..., list[ModelContract]]


@pytest.mark.parametrize(("depth", "width"), [("resnet18", 64), ("resnet34", 4), ("resnet50", 4)])
def test_of_a_video_without_motion_it_gives_what_the_network_of_pictures_gives(
    depth: str, width: int, import_into: Import, tmp_path: Path
) -> None:
    network = with_random_numbers(ResNet(depth, width=width))
    assert isinstance(network, ResNet)
    torch.save(network.state_dict(), tmp_path / "file.pth")
    (contract,) = import_into(tmp_path / "file.pth", source="torchvision", inflates=True)
    bottleneck = "_bottleneck" if depth == "resnet50" else ""
    assert contract.encoder.backbone == f"resnet2d3d_inflated{bottleneck}"
    assert contract.clip == ClipSpec(8, 5, step_seconds=0.1)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    frames = torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    x = ((frames / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network.maps(x)
        for T in (1, 2, 3, 5, 8):
            maps = encoder.backbone(x[:, :, None].expand(-1, -1, T, -1, -1).contiguous())
            assert maps.shape[2] == -(-T // 4)
            for moment in maps.unbind(2):  # at every moment, also those at the ends
                torch.testing.assert_close(moment, expected, rtol=1e-5, atol=1e-5)
        clips = frames[:, None, None].expand(-1, 3, 5, -1, -1, -1)
        unit = F.normalize(network(x), dim=-1)
        torch.testing.assert_close(encoder(clips).embedding, unit, rtol=0, atol=1e-5)


def test_of_motion_it_gives_what_the_kernels_repeated_over_time_give(import_into: Import, tmp_path: Path) -> None:
    network = with_random_numbers(ResNet("resnet18", width=4))
    torch.save(network.state_dict(), tmp_path / "file.pth")
    import_into(tmp_path / "file.pth", source="torchvision", inflates=True)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    x = torch.randn(2, 3, 6, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        y = _stages_seeing_time(network, _each_frame(network, x))
        torch.testing.assert_close(encoder.backbone(x), y, rtol=1e-5, atol=1e-5)
        other = encoder.backbone(x.flip(2))
    assert (other.flip(2) - y).abs().max() > 0.1


def _each_frame(network: nn.Module, x: Tensor) -> Tensor:
    frames = x.transpose(1, 2).flatten(0, 1)
    frames = F.max_pool2d(F.relu(network.get_submodule("bn1")(network.get_submodule("conv1")(frames))), 3, 2, 1)
    frames = network.get_submodule("layer2")(network.get_submodule("layer1")(frames))
    return frames.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)


def _stages_seeing_time(network: nn.Module, x: Tensor) -> Tensor:
    """Stages three and four of basic blocks, literally."""
    for stage in (3, 4):
        for index in range(2):
            block, stride = network.get_submodule(f"layer{stage}.{index}"), 1 if index else 2
            out = F.relu(_normed(block, "bn1", _over_time(block.get_parameter("conv1.weight"), x, stride)))
            out = _normed(block, "bn2", _over_time(block.get_parameter("conv2.weight"), out, 1))
            if index == 0:
                x = F.conv3d(x, block.get_parameter("downsample.0.weight")[:, :, None], stride=2)
                x = _normed(block, "downsample.1", x)
            x = F.relu(out + x)
    return x


def _over_time(kernel: Tensor, x: Tensor, stride: int) -> Tensor:
    """A kernel [O, I, 3, 3] three times over time, divided by three; the first and the last frame once more outside."""
    longer = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    return F.conv3d(longer, torch.stack([kernel / 3] * 3, dim=2), stride=stride, padding=(0, 1, 1))


def _normed(block: nn.Module, name: str, x: Tensor) -> Tensor:
    norm = block.get_submodule(name)
    assert isinstance(norm, nn.BatchNorm2d)
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-5)


def test_what_sees_time_already_is_not_inflated(import_into: Import, tmp_path: Path) -> None:
    torch.save(with_random_numbers(R2Plus1D(width=4, classes=5)).state_dict(), tmp_path / "file.pth")
    with pytest.raises(UsageError, match=r"'r2plus1d'\) that sees time already; leave --inflate out"):
        import_into(tmp_path / "file.pth", source="torchvision", inflates=True)
