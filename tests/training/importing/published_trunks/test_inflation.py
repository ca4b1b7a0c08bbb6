"""A network of pictures that was inflated: of what stands still it says what it said of the picture."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.embedding.contract import ModelContract
from cocon.export.packing.pack import pack_run
from cocon.training.config.files import load_config
from cocon.training.methods.building import build_method
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.warm_start import architecture_settings, restore_encoders
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


def test_the_card_says_where_it_is_from_that_it_was_inflated_and_whose_licence_it_has(
    import_into: Import, tmp_path: Path
) -> None:
    state = with_random_numbers(ResNet("resnet18", width=4)).state_dict()
    trunk = {f"module.encoder_q.{name}": tensor for name, tensor in state.items() if not name.startswith("fc.")}
    torch.save({"state_dict": trunk, "epoch": 200}, tmp_path / "moco.pth.tar")
    import_into(tmp_path / "moco.pth.tar", source="torchvision", inflates=True)
    pack_run(tmp_path / "run", tmp_path / "packed")
    card = (tmp_path / "packed/README.md").read_text()
    for said in (
        "Imported from files of published weights, whose tensors have the names of torchvision, not trained here.",
        "`moco.pth.tar`",
        "The file is as `MoCo` saves it.",
        "must check where they were published",
        "Inflated from a network of pictures",
        "What it learned from is not known",
    ):
        assert said in card
    assert RunFolder.open(tmp_path / "packed").contract("rgb").encoder.backbone == "resnet2d3d_inflated"


def test_what_sees_time_already_is_not_inflated(import_into: Import, tmp_path: Path) -> None:
    torch.save(with_random_numbers(R2Plus1D(width=4, classes=5)).state_dict(), tmp_path / "file.pth")
    with pytest.raises(UsageError, match=r"'r2plus1d'\) that sees time already; leave --inflate out"):
        import_into(tmp_path / "file.pth", source="torchvision", inflates=True)


@pytest.mark.parametrize(("preset", "method"), [("paper", "cocon"), ("utd_mhad", "cpc")])
def test_training_starts_from_it_and_with_other_views_from_scratch(
    preset: str, method: str, import_into: Import, tmp_path: Path
) -> None:
    torch.save(with_random_numbers(ResNet("resnet18", width=4)).state_dict(), tmp_path / "file.pth")
    import_into(tmp_path / "file.pth", source="torchvision", inflates=True)
    settings = (f"training.init_from_of.rgb='{tmp_path / 'run'}'", f"method={method}", "views=['rgb', 'mask']")
    small = ("model.depth=resnet10", "model.width=2")
    taken = architecture_settings(load_config(preset, [*settings, *small]), None)
    config = load_config(preset, [*settings, *small, *taken.values()])
    method_built = build_method(config)
    assert restore_encoders(method_built, config) == ["rgb"]
    N, T = config.clip.num_blocks, config.clip.frames_per_block
    clips = {view: torch.randint(0, 256, (2, N, T, 32, 32, channels)) for view, channels in (("rgb", 3), ("mask", 1))}
    total, logged = method_built({view: each.to(torch.uint8) for view, each in clips.items()}, 1.0)
    total.backward()
    assert logged["loss"].isfinite()
    stem = method_built.encoders["rgb"].backbone.get_parameter("conv1.weight")
    assert stem.grad is not None
    assert stem.grad.abs().max() > 0
