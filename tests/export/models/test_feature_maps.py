"""Feature maps of single frames in a repository: the trained stage, cell by cell, at the size that was asked for."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import read_config
from cocon.embedding.local import LocalRepository
from cocon.embedding.tracking.feature_maps import FEATURE_MAPS, SIZE_PX, STAGE, FeatureMapContract
from cocon.export.cli import app, export
from cocon.export.models.feature_maps import FrameMaps
from cocon.export.publishing import export_encoders
from cocon.export.sources import ExportOptions, FeatureMapOptions, ViewSource
from cocon.training.config.run import Config
from cocon.training.run_folder.files import RunFolder

MODEL = "cocon_rgb_feature_map"

MakeSource = Callable[..., ViewSource]
Outcome = tuple[int, str]


@pytest.fixture(scope="module")
def run(make_source: MakeSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = Config.model_validate({"views": ["rgb"], "data": {"folder": str(folder / "gone")}})
    (folder / "config.toml").write_text(config.to_toml())
    source = make_source("rgb")
    RunFolder.open(folder).save_encoder(source.encoder, source.contract)
    return folder


@pytest.fixture(scope="module")
def arguments(run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of an export that has been made."""
    repository = tmp_path_factory.mktemp("maps") / "model_repository"
    given = ["--run", str(run), "--repository", str(repository), "--no-torchscript", "--json", "--feature-maps"]
    result = CliRunner().invoke(app, [*given, "--feature-map-px", "48"], catch_exceptions=False)
    assert [model["model"] for model in json.loads(result.stdout)["models"]] == ["cocon_rgb", MODEL]
    return given


@pytest.fixture(scope="module")
def repository(arguments: list[str]) -> Path:
    return Path(arguments[3])


def test_the_published_maps_are_those_of_the_trained_encoder(repository: Path, make_source: MakeSource) -> None:
    encoder = make_source("rgb").encoder
    frames = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), np.uint8)
    with torch.inference_mode():
        expected = encoder.frame_maps(torch.from_numpy(frames)[:, None], "layer2")[:, 0].numpy()
    with LocalRepository(repository).open(FEATURE_MAPS, "rgb") as model:
        found = model.maps(frames)
        assert (found.dtype, found.shape) == (np.float32, (5, 6, 6, 16))
        np.testing.assert_allclose(found, expected, atol=2e-6)
        np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)
        with pytest.raises(MismatchError, match=r"frames uint8 \[5, 40, 48, 3\] do not fit .* \[B, 48, 48, 3\]"):
            model.maps(frames[:, :40])


def test_the_model_says_what_it_is_wherever_it_goes(repository: Path, make_source: MakeSource) -> None:
    folder = repository / MODEL
    contract = FeatureMapContract.from_json((folder / "1" / "feature_map.json").read_text(), source="it")
    assert contract == FeatureMapContract("rgb", "layer2", 8, 48, 16, make_source("rgb").contract.fingerprint)
    assert contract.offset_cells == 7 / 16
    config = read_config(folder / "config.pbtxt")
    assert config.parameters["feature_map.1"].string_value == contract.to_json()
    tensors = [(tensor.name, list(tensor.dims)) for tensor in (*config.input, *config.output)]
    assert tensors == [("frames", [48, 48, 3]), ("feature_map", [6, 6, 16])]
    assert json.loads(config.parameters["parity.1"].string_value)["min_cosine"] >= 0.99999
    card = (folder / "README.md").read_text()
    assert "6 × 6 places" in card
    assert contract.fingerprint in card


def test_the_published_graph_is_folded_into_two_dimensions(repository: Path) -> None:
    graph = onnx.load(repository / MODEL / "1" / "model.onnx").graph
    kernels = [
        next(a.ints for a in node.attribute if a.name == "kernel_shape")
        for node in graph.node
        if node.op_type == "Conv"
    ]
    assert kernels
    assert all(len(kernel) == 2 for kernel in kernels)


def test_what_is_up_to_date_stays_and_other_sizes_are_refused(arguments: list[str]) -> None:
    again = CliRunner().invoke(app, [*arguments, "--feature-map-px", "48"], catch_exceptions=False)
    assert [model["is_new"] for model in json.loads(again.stdout)["models"]] == [False, False]
    other = CliRunner().invoke(app, [*arguments, "--feature-map-px", "56"])
    assert isinstance(other.exception, UsageError)
    assert "is of layer2 at 48 px, not of layer2 at 56 px; export to another --repository" in str(other.exception)


def test_a_contract_that_is_there_but_unreadable_is_said_to_be_damaged(run: Path, tmp_path: Path) -> None:
    present = tmp_path / MODEL / "1" / "feature_map.json"
    present.parent.mkdir(parents=True)
    present.write_bytes(b"\xff\xfe{")
    given = ["--run", str(run), "--repository", str(tmp_path), "--no-torchscript", "--feature-maps"]
    result = CliRunner().invoke(app, given)
    assert isinstance(result.exception, MismatchError)
    assert "feature_map.json' is no contract of feature maps" in str(result.exception)


def test_what_is_exported_unless_told_otherwise_is_what_tracking_takes() -> None:
    given = {name: option.default for name, option in inspect.signature(export).parameters.items()}
    assert (given["feature_map_stage"], given["feature_map_px"]) == (STAGE, SIZE_PX)
    assert FeatureMapOptions() == FeatureMapOptions(STAGE, SIZE_PX)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (FeatureMapOptions("layer5", 48), "stage 'layer5' is unknown; available: layer1"),
        (
            FeatureMapOptions("layer3", 40),
            "--feature-map-px 40 must be a multiple of 16, the pixels of a cell of 'layer3'",
        ),
    ],
)
def test_maps_that_cannot_be_are_refused_before_anything_is_written(
    options: FeatureMapOptions, message: str, make_source: MakeSource, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        export_encoders([make_source("rgb")], tmp_path, ExportOptions(formats=(), feature_maps=options))
    with pytest.raises(UsageError, match="--feature-maps needs view 'rgb'"):
        export_encoders([make_source("mask")], tmp_path, ExportOptions(formats=(), feature_maps=options))
    assert [path.name for path in tmp_path.iterdir()] == [".writer.lock"]


@pytest.mark.parametrize("stage", ["layer1", "layer3", "layer4"])
def test_every_stage_folds_into_the_same_numbers(stage: str, make_source: MakeSource) -> None:
    encoder = make_source("rgb").encoder
    frames = torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        folded, plain = (FrameMaps(encoder, stage, folded=folded)(frames) for folded in (True, False))
    assert folded.shape == plain.shape
    assert torch.allclose(folded, plain, atol=1e-5)


def test_a_damaged_contract_is_said_to_be_one() -> None:
    whole = FeatureMapContract("rgb", "layer2", 8, 48, 16, "f" * 64).to_json()
    for wrong in (
        "{}",
        "[]",
        "no JSON",
        whole.replace("48", "50"),
        whole.replace("rgb", "heat"),
        whole.replace("1,", "9,"),
    ):
        with pytest.raises(MismatchError, match=r"^it is no contract of feature maps: .*; export again$"):
            FeatureMapContract.from_json(wrong, source="it")
