"""An imported encoder computes what the released code does, which is stated here once more, literally."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.embedding.contract import ModelContract
from cocon.training.run_folder.files import RunFolder

State = dict[str, Tensor]
Import = Callable[..., list[ModelContract]]

R18, R34, SMALL = (2, 2, 2, 2), (3, 4, 6, 3), (1, 1, 1, 1)
CHANNELS = {"rgb": 3, "flow": 2, "pose": 17, "mask": 1}
ALIASES = {"rgb": "imgs", "flow": "flow", "pose": "kphm", "mask": "seg"}


def _bytes(blocks: int, channels: int, size: int = 64, clips: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (clips, blocks, 5, size, size, channels), generator=generator, dtype=torch.uint8)


def _network_input(clips: Tensor, view: str) -> Tensor:
    """Bytes `[B, N, T, H, W, C]` as the released code's loader gives them: `[B·N, C, T, H, W]`."""
    x = clips.flatten(0, 1).permute(0, 4, 1, 2, 3).double() / 255
    if view == "rgb":
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        return ((x - mean.reshape(3, 1, 1, 1)) / std.reshape(3, 1, 1, 1)).float()
    if view == "flow" and x.mean() > 0.3:
        x = x - 0.5
    return x.float()


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], training=False, eps=1e-5)


def _trunk(state: State, x: Tensor, counts: tuple[int, ...]) -> Tensor:
    """`[M, C, T, H, W]` to `[M, D, T', s, s]`."""
    x = F.conv3d(x, state["backbone.conv1.weight"], stride=(1, 2, 2), padding=(0, 3, 3))
    x = F.relu(_norm(state, "backbone.bn1", x))
    x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for stage, count in enumerate(counts, start=1):
        for index in range(count):
            name = f"backbone.layer{stage}.{index}"
            step = 2 if stage > 1 and index == 0 else 1
            strides, padding = ((step,) * 3, (1, 1, 1)) if stage >= 3 else ((1, step, step), (0, 1, 1))
            out = F.conv3d(x, state[f"{name}.conv1.weight"], stride=strides, padding=padding)
            out = F.relu(_norm(state, f"{name}.bn1", out))
            out = _norm(state, f"{name}.bn2", F.conv3d(out, state[f"{name}.conv2.weight"], padding=padding))
            if f"{name}.downsample.0.weight" in state:
                shortcut = F.conv3d(x, state[f"{name}.downsample.0.weight"], stride=strides)
                x = _norm(state, f"{name}.downsample.1", shortcut)
            x = out + x
            if not (stage == 4 and index == count - 1):
                x = F.relu(x)
    return x


def _features(state: State, clips: Tensor, view: str, counts: tuple[int, ...], *, rectified: bool = False) -> Tensor:
    """z of every block, `[B, N, D, s, s]`."""
    features = _trunk(state, _network_input(clips, view), counts)
    features = F.relu(features) if rectified else features
    z = F.avg_pool3d(features, (features.shape[2], 1, 1), stride=1).squeeze(2)
    return z.reshape(*clips.shape[:2], *z.shape[1:])


def _logits(state: State, z: Tensor) -> Tensor:
    """ConvGRU over all blocks, mean over cells, BatchNorm, linear: `[B, K]`."""

    def gate(name: str, x: Tensor, hidden: Tensor) -> Tensor:
        cell = f"agg.ConvGRUCell_00.{name}"
        return F.conv2d(torch.cat([x, hidden], dim=1), state[f"{cell}.weight"], state[f"{cell}.bias"])

    hidden = torch.zeros_like(z[:, 0])
    for n in range(z.shape[1]):
        update = torch.sigmoid(gate("update_gate", z[:, n], hidden))
        reset = torch.sigmoid(gate("reset_gate", z[:, n], hidden))
        candidate = torch.tanh(gate("out_gate", z[:, n], reset * hidden))
        hidden = (1 - update) * hidden + update * candidate
    pooled = _norm(state, "final_bn", hidden.mean(dim=(2, 3)))
    return pooled @ state["final_fc.1.weight"].T + state["final_fc.1.bias"]


def _check_features(run: Path, view: str, clips: Tensor, z: Tensor) -> None:
    encoder, _ = RunFolder.open(run).encoder(view)
    with torch.no_grad():
        maps, outputs = encoder.feature_maps(clips), encoder(clips)
    assert 0.05 < z.abs().mean() < 50
    assert torch.allclose(maps, z, atol=1e-5, rtol=1e-4)
    blocks = z.mean(dim=(3, 4))
    blocks = blocks / blocks.norm(dim=2, keepdim=True)
    assert torch.allclose(outputs.blocks, blocks, atol=1e-5)
    embedding = blocks.mean(dim=1)
    assert torch.allclose(outputs.embedding, embedding / embedding.norm(dim=1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize(("counts", "source", "entries"), [(R18, "dpc", 136), (R34, "cocon", 232)], ids=str)
def test_features_of_a_published_size_are_those_of_the_released_code(
    counts: tuple[int, ...], source: str, entries: int, make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = make_state(blocks=counts)
    assert len(state) == entries
    (contract,) = import_into(save(state), source=source, size_px=64)
    assert (contract.view, contract.method, contract.embedding_dim, contract.labels) == ("rgb", source, 256, ())
    assert contract.encoder.blocks_per_stage == counts
    clips = _bytes(1, 3)
    _check_features(tmp_path / "run", "rgb", clips, _features(state, clips, "rgb", counts))


@pytest.mark.parametrize("view", ["flow", "pose", "mask"])
def test_features_of_every_view_are_those_of_the_released_code(
    view: str, make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = make_state(blocks=SMALL, width=8, channels=CHANNELS[view])
    # Flow that was measured in pictures of the view's own size: its bytes mean the same there and here.
    import_into(save(state, mode=ALIASES[view]), flow_source_px=137 if view == "flow" else None)
    clips = _bytes(2, CHANNELS[view])
    _check_features(tmp_path / "run", view, clips, _features(state, clips, view, SMALL))


def test_flow_in_pixels_of_a_smaller_view_gives_the_features_of_the_flow_it_was_trained_on(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = make_state(blocks=SMALL, width=8, channels=2)
    import_into(save(state), flow_source_px=2 * 137)
    measured = _bytes(2, 2) // 2 * 2  # 128 ± an even number, so that half of it is a byte
    here = (128 + (measured.int() - 128) // 2).to(torch.uint8)
    _check_features(tmp_path / "run", "flow", here, _features(state, measured, "flow", SMALL))


def test_flow_is_taken_for_that_of_pictures_240_pixels_high(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = make_state(blocks=SMALL, width=8, channels=2)
    (contract,) = import_into(save(state))
    assert contract.normalisation is not None
    assert contract.geometry.resize_px == 137
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("flow")
    factor = state["backbone.conv1.weight"] / encoder.backbone.conv1.weight
    assert torch.allclose(factor, torch.full_like(factor, 137 / 240 / 0.25))
    no_motion = (128 / 255 - contract.normalisation.mean[0]) / 0.25 / factor.mean().item()
    assert no_motion == pytest.approx(128 / 255 - 0.5, rel=1e-5)


@pytest.mark.parametrize(("source", "counts", "width"), [("cocon", R18, 64), ("dpc", SMALL, 8)])
def test_logits_of_a_fine_tuned_classifier_are_those_of_the_released_code(
    source: str, counts: tuple[int, ...], width: int, make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = make_state(blocks=counts, width=width, classes=101)
    assert counts != R18 or len(state) == 139
    (contract,) = import_into(save(state), source=source, size_px=64)
    assert len(contract.labels) == 101
    clips = _bytes(8, 3)
    z = _features(state, clips, "rgb", counts, rectified=source == "dpc")
    _check_features(tmp_path / "run", "rgb", clips, z)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    with torch.no_grad():
        logits = encoder(clips).logits
    assert logits is not None
    assert logits.std() > 0.05
    assert torch.allclose(logits, _logits(state, z), atol=1e-5, rtol=1e-4)
