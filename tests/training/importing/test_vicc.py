"""Checkpoints of ViCC: documented names and shapes, and the numbers of literal S3D and R(2+1)D networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import ModelContract
from cocon.embedding.repository import ONNX, TORCHSCRIPT, ModelFormat
from cocon.export.artefacts.half_precision import halve
from cocon.export.artefacts.parity_clips import moving_squares
from cocon.export.artefacts.quantise import quantise
from cocon.export.models.encoders import check_encoder, open_onnx, write_encoder
from cocon.export.sources import ViewSource
from cocon.training.loop.learner import Learner, parameter_groups
from cocon.training.loop.schedule import StepPlan
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import ViewFiles
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry

State = dict[str, Tensor]
Import = Callable[..., list[ModelContract]]
Outcome = tuple[int, str, str]

WIDTH = 8
# Channels at width 64, and where each block of S3D is registered a second time.
MIXED = {
    "Mixed_3b": ((64, 96, 128, 16, 32, 32), "block3.1"),
    "Mixed_3c": ((128, 128, 192, 32, 96, 64), "block3.2"),
    "Mixed_4b": ((192, 96, 208, 16, 48, 64), "block4.1"),
    "Mixed_4c": ((160, 112, 224, 24, 64, 64), "block4.2"),
    "Mixed_4d": ((128, 128, 256, 24, 64, 64), "block4.3"),
    "Mixed_4e": ((112, 144, 288, 32, 64, 64), "block4.4"),
    "Mixed_4f": ((256, 160, 320, 32, 128, 128), "block4.5"),
    "Mixed_5b": ((256, 160, 320, 32, 128, 128), "block5.1"),
    "Mixed_5c": ((384, 192, 384, 48, 128, 128), "block5.2"),
}
AGAIN = {"Conv_1a": "block1.0", "Conv_2b": "block2.1", "Conv_2c": "block2.2"} | {
    name: again for name, (_, again) in MIXED.items()
}
POOLS = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
}
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class _Drawn:
    """A state dict of random numbers that a mistaken order of operations would not survive."""

    def __init__(self, seed: int = 0) -> None:
        self.state: State = {}
        self._draw = torch.Generator().manual_seed(seed)

    def convolution(self, name: str, *shape: int) -> None:
        fan_in = torch.Size(shape[1:]).numel()
        self.state[f"{name}.weight"] = torch.randn(shape, generator=self._draw) * (2 / fan_in) ** 0.5

    def norm(self, name: str, channels: int) -> None:
        self.state[f"{name}.weight"] = torch.rand(channels, generator=self._draw) * 0.6 + 0.7
        self.state[f"{name}.bias"] = torch.randn(channels, generator=self._draw) * 0.1
        self.state[f"{name}.running_mean"] = torch.randn(channels, generator=self._draw) * 0.1
        self.state[f"{name}.running_var"] = torch.rand(channels, generator=self._draw) + 0.7
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(1234)


def _s3d() -> State:
    """The trunk, every tensor once."""
    drawn = _Drawn()

    def pointwise(name: str, inputs: int, outputs: int) -> None:
        drawn.convolution(f"{name}.conv", outputs, inputs, 1, 1, 1)
        drawn.norm(f"{name}.bn", outputs)

    def separable(name: str, inputs: int, outputs: int, side: int) -> None:
        drawn.convolution(f"{name}.conv1", outputs, inputs, 1, side, side)
        drawn.convolution(f"{name}.conv2", outputs, outputs, side, 1, 1)
        drawn.norm(f"{name}.bn1", outputs)
        drawn.norm(f"{name}.bn2", outputs)

    channels = 3 * WIDTH
    separable("Conv_1a", 3, WIDTH, 7)
    pointwise("Conv_2b", WIDTH, WIDTH)
    separable("Conv_2c", WIDTH, channels, 3)
    for name, (published, _) in MIXED.items():
        point, narrow1, wide1, narrow2, wide2, pooled = (number * WIDTH // 64 for number in published)
        pointwise(f"{name}.branch0.0", channels, point)
        pointwise(f"{name}.branch1.0", channels, narrow1)
        separable(f"{name}.branch1.1", narrow1, wide1, 3)
        pointwise(f"{name}.branch2.0", channels, narrow2)
        separable(f"{name}.branch2.1", narrow2, wide2, 3)
        pointwise(f"{name}.branch3.1", channels, pooled)
        channels = point + wide1 + wide2 + pooled
    return drawn.state


def _r2plus1d() -> State:
    drawn = _Drawn()

    def factored(name: str, inputs: int, outputs: int, taps: int, side: int) -> None:
        middle = taps * side**2 * inputs * outputs // (side**2 * inputs + taps * outputs)
        drawn.convolution(f"{name}.spatial_conv", middle, inputs, 1, side, side)
        drawn.norm(f"{name}.bn", middle)
        drawn.convolution(f"{name}.temporal_conv", outputs, middle, taps, 1, 1)

    factored("conv1", 3, WIDTH, 3, 7)
    drawn.norm("bn1", WIDTH)
    inputs = WIDTH
    for stage, outputs in enumerate((WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH), start=2):
        name = f"conv{stage}.block1"
        if stage > 2:
            factored(f"{name}.downsampleconv", inputs, outputs, 1, 1)
            drawn.norm(f"{name}.downsamplebn", outputs)
        factored(f"{name}.conv1", inputs, outputs, 3, 3)
        drawn.norm(f"{name}.bn1", outputs)
        factored(f"{name}.conv2", outputs, outputs, 3, 3)
        drawn.norm(f"{name}.bn2", outputs)
        inputs = outputs
    return drawn.state


def _twice(trunk: State) -> State:
    """S3D as it is saved: modules under their names and again in blocks."""
    return trunk | {
        name.replace(first, again, 1): tensor
        for first, again in AGAIN.items()
        for name, tensor in trunk.items()
        if name.startswith(f"{first}.")
    }


def _pretrained(trunk: State, *, second: bool = False) -> State:
    """The whole state dict of stage one or two."""
    rest = {f"{layer}.{part}": torch.zeros(3) for layer in ("2", "4") for part in ("weight", "bias")}
    encoder = {f"0.{name}": tensor for name, tensor in trunk.items()} | rest
    state = {f"encoder_q.{name}": tensor for name, tensor in encoder.items()} | {"prototypes.weight": torch.zeros(3, 3)}
    return state | ({f"second.{name}": tensor + 1 for name, tensor in encoder.items()} if second else {})


def _classifier(trunk: State, num_classes: int = 5) -> State:
    drawn, dim = _Drawn(1), 16 * WIDTH
    drawn.convolution("final_fc.1", num_classes, dim)
    bias = {"final_fc.1.bias": torch.arange(num_classes) * 0.1}
    return {f"backbone.{name}": tensor for name, tensor in _twice(trunk).items()} | drawn.state | bias


def _save(path: Path, state: State) -> Path:
    torch.save({"epoch": 299, "state_dict": state, "best_loss": 1.5, "optimizer": {}, "iteration": 7}, path)
    return path


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], training=False, eps=1e-5)


def _s3d_features(state: State, x: Tensor) -> Tensor:
    def pointwise(name: str, x: Tensor) -> Tensor:
        return F.relu(_norm(state, f"{name}.bn", F.conv3d(x, state[f"{name}.conv.weight"])))

    def separable(name: str, x: Tensor, stride: int = 1) -> Tensor:
        space, time = state[f"{name}.conv1.weight"], state[f"{name}.conv2.weight"]
        pad = space.shape[-1] // 2
        x = F.conv3d(x, space, stride=(1, stride, stride), padding=(0, pad, pad))
        x = F.conv3d(F.relu(_norm(state, f"{name}.bn1", x)), time, stride=(stride, 1, 1), padding=(pad, 0, 0))
        return F.relu(_norm(state, f"{name}.bn2", x))

    x = F.max_pool3d(separable("Conv_1a", x, 2), (1, 3, 3), (1, 2, 2), (0, 1, 1))
    x = separable("Conv_2c", pointwise("Conv_2b", x))
    for name in MIXED:
        x = F.max_pool3d(x, *POOLS[name]) if name in POOLS else x
        branches = (
            pointwise(f"{name}.branch0.0", x),
            separable(f"{name}.branch1.1", pointwise(f"{name}.branch1.0", x)),
            separable(f"{name}.branch2.1", pointwise(f"{name}.branch2.0", x)),
            pointwise(f"{name}.branch3.1", F.max_pool3d(x, 3, 1, 1)),
        )
        x = torch.cat(branches, dim=1)
    return x


def _r2plus1d_features(state: State, x: Tensor) -> Tensor:
    def factored(name: str, x: Tensor, stride: tuple[int, int] = (1, 1)) -> Tensor:
        space, time = state[f"{name}.spatial_conv.weight"], state[f"{name}.temporal_conv.weight"]
        (step, pace), side, taps = stride, space.shape[-1] // 2, time.shape[2] // 2
        x = F.conv3d(x, space, stride=(1, pace, pace), padding=(0, side, side))
        return F.conv3d(F.relu(_norm(state, f"{name}.bn", x)), time, stride=(step, 1, 1), padding=(taps, 0, 0))

    x = F.relu(_norm(state, "bn1", factored("conv1", x, (1, 2))))
    for stage in (2, 3, 4, 5):
        name, stride = f"conv{stage}.block1", (1, 1) if stage == 2 else (2, 2)
        out = F.relu(_norm(state, f"{name}.bn1", factored(f"{name}.conv1", x, stride)))
        out = _norm(state, f"{name}.bn2", factored(f"{name}.conv2", out))
        shortcut = (
            x if stage == 2 else _norm(state, f"{name}.downsamplebn", factored(f"{name}.downsampleconv", x, stride))
        )
        x = F.relu(shortcut + out)
    return x


TRUNKS = {"s3d": (_s3d, _s3d_features), "r2plus1d_vicc": (_r2plus1d, _r2plus1d_features)}


def _clip(channels: int = 3, size: int = 48) -> Tensor:
    draw = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (2, 1, 8, size, size, channels), generator=draw, dtype=torch.uint8)


def _pictures(clips: Tensor) -> Tensor:
    """Bytes `[B, 1, T, H, W, 3]` as the networks there see them, `[B, 3, T, H, W]`."""
    return ((clips[:, 0] / 255 - MEAN) / STD).permute(0, 4, 1, 2, 3)


@pytest.mark.parametrize(
    ("backbone", "stage", "entries"), [("s3d", 2, 1857), ("s3d", 1, 929), ("r2plus1d_vicc", 1, 149)]
)
def test_features_are_those_of_the_released_code(
    backbone: str, stage: int, entries: int, import_into: Import, tmp_path: Path
) -> None:
    make, features = TRUNKS[backbone]
    trunk = make()
    state = _pretrained(_twice(trunk) if backbone == "s3d" else trunk, second=stage == 2)
    assert len(state) == entries
    (contract,) = import_into(_save(tmp_path / "file", state), source="vicc", views=("rgb",))
    assert (contract.method, contract.encoder.backbone, contract.encoder.width) == ("vicc", backbone, WIDTH)
    assert contract.clip == ClipSpec(1, 32, step_seconds=None, step_frames=1, short_video="repeat_last")
    assert (contract.geometry, contract.normalisation, contract.labels) == (Geometry(137, 128), None, ())
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    clips = _clip()
    pooled = features(trunk, _pictures(clips)).mean(dim=(2, 3, 4))
    with torch.no_grad():
        maps, outputs = encoder.feature_maps(clips), encoder(clips)
    assert 0.02 < pooled.abs().mean() < 50
    torch.testing.assert_close(maps.mean(dim=(1, 3, 4)), pooled, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs.embedding, F.normalize(pooled, dim=1), rtol=0, atol=1e-5)


def test_logits_of_a_fine_tuned_classifier_are_those_of_the_released_code(import_into: Import, tmp_path: Path) -> None:
    trunk = _s3d()
    state = _classifier(trunk)
    (contract,) = import_into(_save(tmp_path / "file", state), source="vicc", views=("rgb",))
    assert contract.labels == tuple(f"class {index}" for index in range(5))
    pooled = _s3d_features(trunk, _pictures(_clip())).mean(dim=(2, 3, 4))
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    with torch.no_grad():
        logits = encoder(_clip()).logits
    assert logits is not None
    expected = pooled @ state["final_fc.1.weight"].T + state["final_fc.1.bias"]
    assert expected.std() > 0.05
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["s3d", "r2plus1d_vicc"])
@pytest.mark.parametrize("factor", [1, 2])
def test_flow_is_seen_as_a_picture_of_a_constant_v_and_u(
    factor: int, backbone: str, import_into: Import, tmp_path: Path
) -> None:
    make, features = TRUNKS[backbone]
    trunk = make()
    file = _save(tmp_path / "file", _pretrained(trunk))
    (contract,) = import_into(file, source="vicc", views=("flow",), flow_source_px=factor * 137)
    assert contract.flow == FlowSpec(0.04, "tvl1", 240)
    here = _clip(channels=2) // 4 + 96  # 96 to 159: twice the distance from 128 is a byte too
    there = 128 + factor * (here.int() - 128)
    red = torch.full_like(there[..., :1], 128)
    pictures = _pictures(torch.cat((red, there[..., 1:], there[..., :1]), dim=-1))
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("flow")
    with torch.no_grad():
        maps, outputs = encoder.feature_maps(here), encoder(here)
    expected = features(trunk, pictures).mean(dim=2, keepdim=True).transpose(1, 2)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)  # at the border of the picture too
    pooled = expected.mean(dim=(1, 3, 4))
    torch.testing.assert_close(outputs.embedding, F.normalize(pooled, dim=1), rtol=0, atol=1e-5)


def test_logits_of_a_flow_classifier_are_those_of_the_released_code(import_into: Import, tmp_path: Path) -> None:
    trunk = _s3d()
    state = _classifier(trunk)
    import_into(_save(tmp_path / "file", state), source="vicc", views=("flow",), flow_source_px=137)
    flow = _clip(channels=2)
    pictures = _pictures(torch.cat((torch.full_like(flow[..., :1], 128), flow[..., 1:], flow[..., :1]), dim=-1))
    pooled = _s3d_features(trunk, pictures).mean(dim=(2, 3, 4))
    expected = pooled @ state["final_fc.1.weight"].T + state["final_fc.1.bias"]
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("flow")
    with torch.no_grad():
        logits = encoder(flow).logits
    assert logits is not None
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "forms"),
    [pytest.param("s3d", (ONNX, TORCHSCRIPT), marks=pytest.mark.slow), ("r2plus1d_vicc", (ONNX,))],
)
def test_what_is_exported_of_a_flow_encoder_computes_the_same(
    backbone: str, forms: tuple[ModelFormat, ...], import_into: Import, tmp_path: Path
) -> None:
    sizes = ("view.flow.resize_px=32", "view.flow.crop_px=32", "clip.frames_per_block=8")
    trunk, run = TRUNKS[backbone][0](), tmp_path / "run"
    import_into(_save(tmp_path / "file", _pretrained(trunk)), source="vicc", views=("flow",), settings=sizes)
    encoder, contract = RunFolder.open(run).encoder("flow")
    source = ViewSource(encoder, contract, moving_squares(contract, 4))
    files = {form: tmp_path / form.file_name for form in forms}
    for form, path in files.items():
        write_encoder(source, form, path)
        assert check_encoder(source, form, path).min_cosine > 0.99999
    quantise(files[ONNX], source.clips, contract, tmp_path / "int8.onnx")
    halve(files[ONNX], tmp_path / "fp16.onnx")
    with torch.no_grad():
        expected = encoder(torch.tensor(source.clips)).embedding.numpy()
    for name, least in (("int8", 0.98), ("fp16", 0.9999)):
        found = open_onnx(tmp_path / f"{name}.onnx", contract).embed(source.clips).embedding
        assert (found * expected).sum(axis=1).min() > least, name


def test_training_goes_on_from_a_flow_encoder_and_is_resumed(import_into: Import, tmp_path: Path) -> None:
    sizes = ("view.flow.resize_px=36", "view.flow.crop_px=32", "clip.frames_per_block=8")
    file = _save(tmp_path / "file", _pretrained(_r2plus1d()))
    import_into(file, source="vicc", views=("flow",), settings=sizes)
    config = RunFolder.open(tmp_path / "run").config
    training = config.training.model_copy(update={"init_from": tmp_path / "run", "epochs": 1})
    config = config.model_copy(update={"training": training})
    plan, fabric = StepPlan(2, 1, 1), Fabric(accelerator="cpu", devices=1)
    begun = Learner(config, plan, fabric, None)
    imported, _ = ViewFiles(tmp_path / "run" / "views" / "flow").encoder()
    clips = _clip(channels=2, size=32)
    with torch.no_grad():
        before, after = imported(clips).embedding, begun.method.encoders["flow"].eval()(clips).embedding
    torch.testing.assert_close(before, after)
    resumed = Learner(config, plan, fabric, begun.state(0))
    assert resumed.method.encoders["flow"].normalisation == imported.normalisation
    stem = resumed.method.encoders["flow"].backbone.conv1.spatial.weight
    assert any(stem is parameter for group in parameter_groups(resumed.method, {}) for parameter in group["params"])
    torch.testing.assert_close(stem.detach(), imported.backbone.conv1.spatial.weight.detach())


@pytest.mark.training
def test_both_streams_become_one_run(cocon: Callable[..., Outcome], tmp_path: Path) -> None:
    rgb = _save(tmp_path / "rgb", _pretrained(_twice(_s3d()), second=True))
    flow = _save(tmp_path / "flow", _pretrained(_r2plus1d()))
    run = tmp_path / "run"
    code, output, errors = cocon(
        "import", "--from", "vicc", "--view", "rgb", "--view", "flow", "--output", run, rgb, flow
    )
    heads = "encoder_q.2.*, encoder_q.4.*, prototypes.*"
    assert (code, errors) == (0, "")
    assert output == (
        f"{run} holds vicc rgb (s3d at 128 px, epoch 299)\n  left out: {heads}, second.*\n"
        f"{run} holds vicc flow (r2plus1d_vicc at 128 px, epoch 299)\n  left out: {heads}\n"
    )
    assert RunFolder.open(run).views == ("rgb", "flow")
    assert RunFolder.open(run).config.method == "vicc"


def _probe(state: State) -> State:
    return {f"backbone.{name}": tensor for name, tensor in state.items()} | {"final_fc.0.weight": torch.zeros(3, 3)}


@pytest.mark.parametrize(
    ("make", "views", "error", "part"),
    [
        (lambda s: _pretrained(_twice(s)), (), UsageError, "name --view rgb or --view flow for each file"),
        (lambda s: _pretrained(_twice(s)), ("pose",), UsageError, "ViCC knows rgb and flow, not view 'pose'"),
        (_probe, ("rgb",), MismatchError, "is a linear probe, which reads features of unit length"),
        # What CoCon and DPC call theirs.
        (
            lambda s: {"backbone.conv1.weight": torch.zeros(4, 3, 1, 7, 7), "final_bn.bias": torch.zeros(4)},
            ("rgb",),
            MismatchError,
            "is no checkpoint of ViCC: it has neither backbone.Conv_1a.conv1.weight nor",
        ),
        (
            lambda s: _pretrained(_twice(s) | {"block4.5.branch0.0.bn.bias": torch.zeros(16)}),
            ("rgb",),
            MismatchError,
            "encoder_q.0.block4.5.branch0.0.bn.bias is not what encoder_q.0.Mixed_4f.branch0.0.bn.bias is",
        ),
        (
            lambda s: _pretrained(s | {"Mixed_3b.gating_b0.fc.weight": torch.zeros(1)}),
            ("rgb",),
            MismatchError,
            "1 unknown keys: encoder_q.0.Mixed_3b.gating_b0.fc.weight",
        ),
        (
            lambda s: _pretrained(
                {name: tensor for name, tensor in s.items() if name != "Mixed_5c.branch2.1.bn2.bias"}
            ),
            ("rgb",),
            MismatchError,
            "1 missing keys: encoder_q.0.Mixed_5c.branch2.1.bn2.bias",
        ),
        (
            lambda s: _pretrained(s | {"Conv_1a.conv1.weight": torch.zeros(WIDTH, 2, 1, 7, 7)}),
            ("flow",),
            MismatchError,
            "has kernels of three channels, for flow too",
        ),
        (
            lambda s: _pretrained({name: s[name] for name in s if not name.startswith("Conv_1a.")}),
            ("rgb",),
            MismatchError,
            "is no checkpoint of ViCC: it has neither encoder_q.0.Conv_1a.conv1.weight nor",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    make: Any, views: tuple[str, ...], error: type[Exception], part: str, import_into: Import, tmp_path: Path
) -> None:
    file = _save(tmp_path / "file", make(_s3d()))
    with pytest.raises(error) as caught:
        import_into(file, source="vicc", views=views)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_width_that_no_tensor_says_is_refused(import_into: Import, tmp_path: Path) -> None:
    state = _pretrained(_r2plus1d()) | {"encoder_q.0.bn1.weight": torch.tensor(1.0)}
    with pytest.raises(MismatchError, match="has 0 channels in its first stage"):
        import_into(_save(tmp_path / "file", state), source="vicc", views=("flow",))


def test_an_r2plus1d_without_a_layer_is_refused(import_into: Import, tmp_path: Path) -> None:
    state = _pretrained(_r2plus1d())
    del state["encoder_q.0.conv3.block1.downsamplebn.weight"]
    with pytest.raises(MismatchError, match=r"1 missing keys: encoder_q\.0\.conv3\.block1\.downsamplebn\.weight"):
        import_into(_save(tmp_path / "file", state), source="vicc", views=("flow",))
