"""ResNets of pictures as torchvision, MoCo, SwAV and DINO save them: their numbers, and what is refused."""

import argparse
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.embedding.contract import ModelContract, Normalisation
from cocon.training.run_folder.files import RunFolder
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from tests.training.importing.published_trunks.restated import ResNet, State, state_of, with_random_numbers
from tests.training.importing.refused import assert_refused

Import = Callable[..., list[ModelContract]]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SWAV = ((0.485, 0.456, 0.406), (0.228, 0.224, 0.225))


def _network(depth: str = "resnet50", width: int = 4, seed: int = 0) -> ResNet:
    network = with_random_numbers(ResNet(depth, width=width), seed)
    assert isinstance(network, ResNet)
    return network


def _file(path: Path, state: Mapping[str, Any]) -> Path:
    torch.save(dict(state), path)
    return path


def _features(network: ResNet, frames: Tensor, normalisation: tuple[tuple[float, ...], ...] = IMAGENET) -> Tensor:
    """Of bytes `[M, H, W, 3]`."""
    mean, std = map(torch.tensor, normalisation)
    features: Tensor = network(((frames / 255 - mean) / std).permute(0, 3, 1, 2))
    return features


def _assert_same_numbers(run: Path, network: ResNet, normalisation: Any = IMAGENET, *, atol: float = 1e-5) -> None:
    encoder, _ = RunFolder.open(run).encoder("rgb")
    clips = torch.randint(0, 256, (2, 3, 1, 64, 64, 3), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    with torch.no_grad():
        features = _features(network, clips.flatten(0, 2), normalisation).reshape(2, 3, -1)
        maps, outputs = encoder.feature_maps(clips), encoder(clips)
    assert 0.05 < features.std() < 50
    torch.testing.assert_close(maps.mean(dim=(3, 4)), features, rtol=atol, atol=atol)
    blocks = F.normalize(features, dim=-1)
    torch.testing.assert_close(outputs.blocks, blocks, rtol=0, atol=atol)
    torch.testing.assert_close(outputs.embedding, F.normalize(blocks.mean(dim=1), dim=-1), rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("depth", "parameters"), [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_the_restated_network_has_the_published_number_of_parameters(depth: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in ResNet(depth).parameters()) == parameters


@pytest.mark.parametrize("depth", ["resnet18", "resnet50"])
def test_a_file_of_the_published_shapes_gives_the_numbers_of_its_network(
    depth: str, import_into: Import, tmp_path: Path
) -> None:
    network = _network(depth, width=64)
    (contract,) = import_into(_file(tmp_path / "file.pth", state_of(network)), source="torchvision")
    assert (contract.method, contract.view, contract.normalisation) == ("torchvision", "rgb", None)
    assert contract.embedding_dim == (2048 if depth == "resnet50" else 512)
    assert contract.geometry == Geometry(256, 224)
    assert contract.clip == ClipSpec(8, 1, step_seconds=0.25, short_video="shrink")
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    without_fc = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("fc."))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == without_fc
    _assert_same_numbers(tmp_path / "run", network)


def test_a_resnet_34_too(import_into: Import, tmp_path: Path) -> None:
    network = _network("resnet34")
    (contract,) = import_into(_file(tmp_path / "file.pth", state_of(network)), source="torchvision")
    assert (contract.encoder.backbone, contract.encoder.blocks_per_stage) == ("resnet2d", (3, 4, 6, 3))
    _assert_same_numbers(tmp_path / "run", network)


def _mlp(prefix: str, *sizes: int) -> State:
    return {
        f"{prefix}{2 * layer}.{part}": torch.ones(*shape)
        for layer, (inputs, outputs) in enumerate(pairwise(sizes))
        for part, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))
    }


def _trunk(network: ResNet, prefix: str) -> State:
    return {name: tensor for name, tensor in state_of(network, prefix).items() if f"{prefix}fc." not in name}


def _behind(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def _moco(head: State) -> Callable[[ResNet], dict[str, Any]]:
    def saved(network: ResNet) -> dict[str, Any]:
        keys = {name: tensor + 1 for name, tensor in _trunk(network, "encoder_k.").items()}
        queue = {"queue": torch.zeros(128, 9), "queue_ptr": torch.zeros(1)}
        state = _trunk(network, "encoder_q.") | head | keys | queue
        return {"epoch": 200, "arch": "resnet50", "state_dict": _behind("module.", state), "optimizer": {}}

    return saved


def _moco_v3(network: ResNet) -> dict[str, Any]:
    head = _mlp("base_encoder.fc.", 128, 64, 32) | {"base_encoder.fc.4.running_mean": torch.zeros(32)}
    momentum = {name: tensor + 1 for name, tensor in _trunk(network, "momentum_encoder.").items()}
    state = _trunk(network, "base_encoder.") | head | momentum | _mlp("predictor.", 32, 64, 32)
    return {"epoch": 1000, "state_dict": _behind("module.", state), "optimizer": {}, "scaler": {}}


def _swav(network: ResNet) -> dict[str, Any]:
    head = _mlp("projection_head.", 128, 64, 32) | {"prototypes.weight": torch.ones(30, 32)}
    return _behind("module.", _trunk(network, "") | head)


def _dino(network: ResNet) -> dict[str, Any]:
    teacher = _behind("module.", _trunk(network, "backbone.") | _mlp("head.mlp.", 128, 64, 32))
    student = {name: tensor + 1 for name, tensor in teacher.items()}
    rest = {"optimizer": {}, "epoch": 800, "args": argparse.Namespace(arch="resnet50"), "dino_loss": {}}
    return {"student": student, "teacher": teacher, **rest}


def _dino_alone(network: ResNet) -> dict[str, Any]:
    return _trunk(network, "backbone.")


@pytest.mark.parametrize(
    ("saved", "form", "left_out", "normalisation"),
    [
        (_moco({"encoder_q.fc.weight": torch.ones(128, 128)}), "MoCo", "encoder_q.fc.* encoder_k.*", IMAGENET),
        (_moco(_mlp("encoder_q.fc.", 128, 128, 128)), "MoCo", "encoder_q.fc.* encoder_k.* queue", IMAGENET),
        (_moco_v3, "MoCo v3", "base_encoder.fc.* momentum_encoder.* predictor.*", IMAGENET),
        (_swav, "SwAV", "projection_head.* prototypes.*", SWAV),
        (_dino, "DINO", "head.*", IMAGENET),
        (_dino_alone, "DINO", "", IMAGENET),
    ],
)
def test_the_trunk_of_self_supervised_training_is_found_and_what_is_around_it_left_out(
    saved: Callable[[ResNet], dict[str, Any]],
    form: str,
    left_out: str,
    normalisation: Any,
    cocon: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:
    network = _network()
    file, run = _file(tmp_path / "file.pth.tar", saved(network)), tmp_path / "run"
    code, output, errors = cocon("import", "--from", "torchvision", "--output", run, file)
    assert (code, errors) == (0, "")
    assert output.startswith(f"{run} holds torchvision rgb (resnet50 at 224 px, {form}")
    assert all(part in output for part in left_out.split())
    contract = RunFolder.open(run).contract("rgb")
    assert contract.normalisation == (None if normalisation == IMAGENET else Normalisation(*normalisation))
    assert (contract.view_spec.mean, contract.view_spec.std) == normalisation
    _assert_same_numbers(run, network, normalisation)


def test_half_precision_and_safetensors_are_read(import_into: Import, tmp_path: Path) -> None:
    network = _network("resnet18")
    halved = {name: tensor.half() for name, tensor in state_of(network).items()}
    rounded = ResNet("resnet18", width=4).eval()
    rounded.load_state_dict({name: tensor.float() for name, tensor in halved.items()})
    import_into(_file(tmp_path / "half.pth", halved), source="torchvision")
    _assert_same_numbers(tmp_path / "run", rounded)
    save_file(state_of(network), tmp_path / "model.safetensors")
    import_into(tmp_path / "model.safetensors", source="torchvision", overwrite=True)
    _assert_same_numbers(tmp_path / "run", network)
    (tmp_path / "broken.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"broken.safetensors' is no file of safetensors, or a damaged one"):
        import_into(tmp_path / "broken.safetensors", source="torchvision", overwrite=True)


def test_the_layers_of_a_head_are_read_in_any_order(import_into: Import, tmp_path: Path) -> None:
    last = {"head.last_layer.weight_g": torch.ones(30, 1), "head.last_layer.weight_v": torch.ones(30, 32)}
    head = last | dict(reversed(_mlp("head.mlp.", 128, 64, 32).items()))
    network = _network()
    import_into(_file(tmp_path / "file.pth", head | _trunk(network, "backbone.")), source="torchvision")
    _assert_same_numbers(tmp_path / "run", network)


def _without(name: str) -> Callable[[State], object]:
    return lambda state: state.pop(name)


def _with(**tensors: Tensor) -> Callable[[State], object]:
    return lambda state: state.update({name.replace("__", "."): tensor for name, tensor in tensors.items()})


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            _without("layer4.2.bn3.bias"),
            ("is not a checkpoint of torchvision (resnet50)", "1 missing keys: layer4.2.bn3"),
        ),
        (_with(embedding=torch.ones(1)), ("1 unknown keys: embedding",)),
        (
            _with(layer3__6__conv1__weight=torch.ones(1)),
            ("(3, 4, 7, 3) residual blocks per stage; supported: resnet50",),
        ),
        (_with(layer1__0__conv2__weight=torch.ones(4, 2, 3, 3)), ("1 other shapes: layer1.0.conv2.weight [4, 2, 1",)),
        (_with(encoder_q__conv1__weight=torch.ones(4, 3, 7, 7)), ("several trunks (conv1.weight, encoder_q.conv1",)),
        (_with(fc__weight=torch.ones(1000, 512)), ("has fc.weight reading 512 features, but a resnet50 gives 128",)),
        (_without("conv1.weight"), ("holds no ResNet of pictures, R(2+1)D or S3D as torchvision names them",)),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(
    change: Callable[[State], object], parts: tuple[str, ...], import_into: Import, tmp_path: Path
) -> None:
    state = state_of(_network())
    change(state)
    file = _file(tmp_path / "file.pth", state)
    assert_refused(tmp_path, parts, lambda: import_into(file, source="torchvision"))


def test_other_views_and_other_projects_files_are_refused(import_into: Import, tmp_path: Path) -> None:
    file = _file(tmp_path / "file.pth", state_of(_network()))
    see_rgb = ("networks of torchvision see rgb",)
    assert_refused(tmp_path, see_rgb, lambda: import_into(file, source="torchvision", views=("flow",)))
    cycle = {"q_cycle_fc.0.weight": torch.ones(1)} | _trunk(_network(), "encoder_q.")
    file = _file(tmp_path / "cycle.pth", cycle)
    assert_refused(tmp_path, ("1 unknown keys: q_cycle_fc",), lambda: import_into(file, source="torchvision"))
