"""Checkpoints of VCLR and CycleContrast: documented names and shapes, and the numbers of a literal ResNet of images."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.client import VideoEmbedder
from cocon.embedding.contract import ModelContract
from cocon.export.packing.pack import pack_run
from cocon.training.methods.building import build_method
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.warm_start import restore_encoders
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from tests.training.importing.refused import assert_refused

State = dict[str, Tensor]
Import = Callable[..., list[ModelContract]]
Outcome = tuple[int, str, str]

R50, R10 = (3, 4, 6, 3), (1, 1, 1, 1)
CYCLE_REST = ("queue", "queue_ptr", "queue_cycle", "queue_cycle_ptr", "queue_labels", "queue_indices")


def _resnet(depths: tuple[int, ...] = R50, width: int = 2, seed: int = 0) -> State:
    """A trunk as torchvision names it, of bottlenecks for R50, else of basic blocks."""
    draw, state = torch.Generator().manual_seed(seed), State()
    expansion, kernels = (4, (1, 3, 1)) if depths == R50 else (1, (3, 3))

    def layer(conv: str, norm: str, outputs: int, inputs: int, side: int) -> None:
        state[f"{conv}.weight"] = (
            torch.randn(outputs, inputs, side, side, generator=draw) * (1.5 / inputs) ** 0.5 / side
        )
        state[f"{norm}.weight"] = torch.rand(outputs, generator=draw) * 0.6 + 0.4
        state[f"{norm}.bias"] = torch.randn(outputs, generator=draw) * 0.1
        state[f"{norm}.running_mean"] = torch.randn(outputs, generator=draw) * 0.1
        state[f"{norm}.running_var"] = torch.rand(outputs, generator=draw) + 0.7
        state[f"{norm}.num_batches_tracked"] = torch.tensor(1234)

    layer("conv1", "bn1", width, 3, 7)
    inputs = width
    for stage, depth in enumerate(depths):
        channels = width << stage
        for index in range(depth):
            name, before = f"layer{stage + 1}.{index}", inputs
            for number, side in enumerate(kernels, start=1):
                outputs = channels * (expansion if number == len(kernels) else 1)
                layer(f"{name}.conv{number}", f"{name}.bn{number}", outputs, before, side)
                before = outputs
            if index == 0 and (stage > 0 or inputs != before):
                layer(f"{name}.downsample.0", f"{name}.downsample.1", before, inputs, 1)
            inputs = before
    return state


def _vclr(trunk: State) -> State:
    """All 336 entries of `model`."""
    dim, heads = trunk["layer4.2.bn3.weight"].shape[0], State()
    for head in ("fc_inter", "fc_intra", "fc_order", "fc_tsn"):
        for layer, outputs in ((0, dim), (2, 128)):
            heads |= {f"{head}.{layer}.weight": torch.zeros(outputs, dim), f"{head}.{layer}.bias": torch.zeros(outputs)}
    return (
        trunk | heads | {"fc_order_classifier.weight": torch.zeros(4, 768), "fc_order_classifier.bias": torch.zeros(4)}
    )


def _cycle(trunk: State) -> State:
    """What `state_dict` holds, with a key encoder of other numbers."""
    heads = {f"{head}.0.weight": torch.zeros(4, 4) for head in ("encoder_q.fc", "q_cycle_fc", "k_cycle_fc")}
    keys = {f"encoder_k.{name}": tensor + 1 for name, tensor in trunk.items()}
    queues = {name: torch.zeros(2, 2) for name in CYCLE_REST}
    return {f"encoder_q.{name}": tensor for name, tensor in trunk.items()} | heads | keys | queues


def _save(path: Path, source: str, state: State) -> Path:
    state = {f"module.{name}": tensor for name, tensor in state.items()}
    if source == "vclr":
        rest = {
            "opt": argparse.Namespace(base_lr=0.1),
            "model_ema": state,
            "contrast": {},
            "scheduler": {"last_epoch": 3},
        }
        torch.save({"model": state, **rest, "optimizer": {}, "epoch": 400}, path)
    else:
        torch.save({"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {}}, path)
    return path


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], training=False, eps=1e-5)


def _features(state: State, frames: Tensor, depths: tuple[int, ...]) -> Tensor:
    """Pooled features `[M, D]` of bytes `[M, H, W, 3]`, image by image."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((frames / 255 - mean) / std).permute(0, 3, 1, 2)
    x = F.relu(_norm(state, "bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3)))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, depth in enumerate(depths, start=1):
        for index in range(depth):
            name, out = f"layer{stage}.{index}", x
            stride = 2 if stage > 1 and index == 0 else 1
            last, strided = (3, 2) if depths == R50 else (2, 1)
            for number in range(1, last + 1):
                weight = state[f"{name}.conv{number}.weight"]
                step = stride if number == strided else 1
                out = _norm(
                    state, f"{name}.bn{number}", F.conv2d(out, weight, stride=step, padding=weight.shape[-1] // 2)
                )
                out = out if number == last else F.relu(out)
            if f"{name}.downsample.0.weight" in state:
                shortcut = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
                x = _norm(state, f"{name}.downsample.1", shortcut)
            x = F.relu(out + x)
    return x.mean(dim=(2, 3))


def _check_numbers(run: Path, state: State, depths: tuple[int, ...]) -> None:
    encoder, _ = RunFolder.open(run).encoder("rgb")
    clips = torch.randint(0, 256, (2, 3, 1, 64, 64, 3), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    features = _features(state, clips.flatten(0, 2), depths).reshape(2, 3, -1)
    with torch.no_grad():
        maps, outputs = encoder.feature_maps(clips), encoder(clips)
    assert 0.01 < features.abs().mean() < 50
    torch.testing.assert_close(maps.mean(dim=(3, 4)), features, rtol=1e-4, atol=1e-5)
    blocks = F.normalize(features, dim=-1)
    torch.testing.assert_close(outputs.embedding, F.normalize(blocks.mean(dim=1), dim=-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("source", "entries", "step_seconds"), [("vclr", 336, 1 / 3), ("cyclecontrast", 645, 0.25)])
def test_features_are_those_of_a_resnet_50_of_images(
    source: str, entries: int, step_seconds: float, import_into: Import, tmp_path: Path
) -> None:
    trunk = _resnet()
    assert len(trunk) == 318
    state = _vclr(trunk) if source == "vclr" else _cycle(trunk)
    assert len(state) == entries
    (contract,) = import_into(_save(tmp_path / "file", source, state), source=source)
    assert contract.encoder.backbone == "resnet2d_bottleneck"
    assert (contract.method, contract.view, contract.embedding_dim) == (source, "rgb", 64)
    assert (contract.geometry, contract.normalisation) == (Geometry(256, 224), None)
    assert contract.clip == ClipSpec(8, 1, step_seconds=step_seconds, short_video="shrink")
    _check_numbers(tmp_path / "run", trunk, R50)


def test_vclrs_own_conversion_to_torchvisions_names_is_taken(import_into: Import, tmp_path: Path) -> None:
    """It keeps the trunk, and a last layer that nobody trained in place of the heads."""
    trunk, dim = _resnet(), 64
    torch.save(trunk | {"fc.weight": torch.zeros(1000, dim), "fc.bias": torch.zeros(1000)}, tmp_path / "vclr_torch.pth")
    import_into(tmp_path / "vclr_torch.pth", source="vclr")
    _check_numbers(tmp_path / "run", trunk, R50)
    assert json.loads((tmp_path / "run/complete.json").read_text())["files"]["rgb"]["left_out"] == ["fc.*"]


def test_basic_blocks_are_taken_too_and_settings_replace_the_published_ones(
    import_into: Import, tmp_path: Path
) -> None:
    trunk, settings = _resnet(R10), ("clip.step_frames=4", "clip.num_blocks=1")
    path = _save(tmp_path / "file", "cyclecontrast", _cycle(trunk))
    (contract,) = import_into(path, source="cyclecontrast", settings=settings, size_px=112)
    assert (contract.clip.num_blocks, contract.clip.step_frames, contract.clip.step_seconds) == (1, 4, None)
    assert contract.geometry == Geometry(128, 112)
    _check_numbers(tmp_path / "run", trunk, R10)


@pytest.mark.training
def test_the_command_and_the_run_tell_what_was_left_out(cocon: Callable[..., Outcome], tmp_path: Path) -> None:
    run, file = tmp_path / "run", _save(tmp_path / "current.pth", "vclr", _vclr(_resnet()))
    code, output, errors = cocon("import", "--from", "vclr", "--output", run, file)
    heads = ["fc_inter.*", "fc_intra.*", "fc_order.*", "fc_order_classifier.*", "fc_tsn.*"]
    assert (code, errors) == (0, "")
    assert output == f"{run} holds vclr rgb (resnet50 at 224 px, epoch 400)\n  left out: {', '.join(heads)}\n"
    assert json.loads((run / "complete.json").read_text())["files"]["rgb"]["left_out"] == heads
    pack_run(run, tmp_path / "packed")
    card = (tmp_path / "packed/README.md").read_text()
    assert "Imported from files of the released code of VCLR, not trained here." in card


def test_training_goes_on_from_an_imported_encoder(import_into: Import, tmp_path: Path) -> None:
    import_into(_save(tmp_path / "file", "cyclecontrast", _cycle(_resnet(R10))), source="cyclecontrast")
    config = RunFolder.open(tmp_path / "run").config
    training = config.training.model_copy(update={"init_from": tmp_path / "run"})
    method = build_method(config)
    assert restore_encoders(method, config.model_copy(update={"training": training})) == ["rgb"]


def test_an_imported_run_is_exported_and_searched_with(
    cocon: Callable[..., Outcome], figures: Path, tmp_path: Path
) -> None:
    run, repository = tmp_path / "run", tmp_path / "repository"
    file = _save(tmp_path / "file", "cyclecontrast", _cycle(_resnet(R10)))
    geometry = ("view.rgb.resize_px=36", "view.rgb.crop_px=32", "clip.num_blocks=1", "clip.step_frames=4")
    settings = [part for setting in geometry for part in ("--set", setting)]
    assert cocon("import", "--from", "cyclecontrast", "--output", run, *settings, file)[0] == 0
    code, _, errors = cocon("export", "--run", run, "--repository", repository, "--no-torchscript", "--json")
    assert code == 0, errors
    with VideoEmbedder(f"local:{repository}") as embedder:
        result = embedder.embed(next(figures.rglob("*.mp4")))
    assert result.embedding.shape[1] == 16
    np.testing.assert_allclose(np.linalg.norm(result.embedding, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "change", "parts"),
    [
        ("vclr", lambda s: s.pop("layer4.2.bn3.bias"), ("1 missing keys: layer4.2.bn3.bias",)),
        ("vclr", lambda s: s.pop("layer3.5.bn1.running_var"), ("1 missing keys: layer3.5.bn1.running_var",)),
        (
            "vclr",
            lambda s: s.update(fc_other=torch.ones(1)),
            ("is not a checkpoint of VCLR", "1 unknown keys: fc_other"),
        ),
        ("vclr", lambda s: s.update({"bn1.bias": torch.ones(5)}), ("1 other shapes: bn1.bias [5] in place of [2]",)),
        (
            "vclr",
            lambda s: s.update({"conv1.weight": torch.ones(2, 2, 7, 7)}),
            ("conv1.weight [2, 2, 1, 7, 7] in place",),
        ),
        ("vclr", lambda s: s.pop("conv1.weight"), ("is no checkpoint of VCLR: it has no conv1.weight",)),
        ("cyclecontrast", lambda s: s.pop("encoder_q.conv1.weight"), ("is no checkpoint of CycleContrast",)),
        (
            "cyclecontrast",
            lambda s: s.update({"encoder_q.layer1.3.conv1.weight": torch.ones(1)}),
            ("(4, 4, 6, 3) residual blocks per stage; supported: resnet50",),
        ),
    ],
)
def test_keys_that_do_not_fit_are_listed(
    source: str, change: Callable[[State], object], parts: tuple[str, ...], import_into: Import, tmp_path: Path
) -> None:
    state = _vclr(_resnet()) if source == "vclr" else _cycle(_resnet())
    change(state)
    assert_refused(tmp_path, parts, lambda: import_into(_save(tmp_path / "file", source, state), source=source))


def test_files_of_the_other_project_and_other_views_are_refused(import_into: Import, tmp_path: Path) -> None:
    file = _save(tmp_path / "file", "vclr", _vclr(_resnet()))
    parts = ("is no checkpoint of CycleContrast: it has no encoder_q.conv1.weight",)
    assert_refused(tmp_path, parts, lambda: import_into(file, source="cyclecontrast"))
    assert_refused(tmp_path, ("VCLR knows only rgb",), lambda: import_into(file, source="vclr", views=("flow",)))
