"""`cocon export` as people run it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cocon.core.errors import UsageError
from cocon.export.cli import app
from cocon.export.sources import ViewSource
from cocon.training.config.run import Config
from cocon.training.run_folder.files import RunFolder


@pytest.fixture(scope="module")
def run(make_source: Callable[..., ViewSource], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = Config.model_validate({"views": ["rgb", "mask"], "data": {"folder": str(folder / "gone")}})
    (folder / "config.toml").write_text(config.to_toml())
    for view in ("rgb", "mask"):
        source = make_source(view)
        RunFolder.open(folder).save_encoder(source.encoder, source.contract)
    return folder


def test_a_run_becomes_a_repository_and_a_table(run: Path, tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    arguments = ["--run", str(run), "--repository", str(repository), "--no-torchscript", "--threads", "3"]
    first = CliRunner().invoke(app, [*arguments, "--views", "rgb"], catch_exceptions=False)
    assert "exported 1 models" in first.stdout
    assert "cocon_rgb" in first.stdout
    assert "1.000000" in first.stdout
    assert first.stderr.splitlines() == ["cocon_rgb: writing", "cocon_rgb: comparing with the trained encoder"]
    assert 'string_value: "3"' in (repository / "cocon_rgb" / "config.pbtxt").read_text()

    second = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    models = {model["model"]: model for model in json.loads(second.stdout)["models"]}
    assert {name: model["is_new"] for name, model in models.items()} == {
        "cocon_rgb": False,
        "cocon_mask": True,
        "cocon_fuse": True,
        "cocon": True,
    }
    assert models["cocon"]["embedding_dim"] == 64
    assert models["cocon_mask"]["parity"]["min_cosine"] >= 0.99999

    third = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "is up to date: nothing to export" in third.stdout


def test_a_variant_is_judged_on_drawn_figures_where_the_videos_are_gone(run: Path, tmp_path: Path) -> None:
    arguments = ["--run", str(run), "--repository", str(tmp_path / "repository"), "--no-torchscript", "--views", "mask"]
    result = CliRunner().invoke(app, [*arguments, "--variant", "fp16", "--variant", "fp16"], catch_exceptions=False)
    assert "exported 2 models" in result.stdout
    assert "cocon_mask_fp16: mean cosine 1.0000, least " in result.stdout
    assert result.stdout.endswith("24 clips of 24 generated figures, as the run's own videos are gone\n")
    assert "cocon_mask_fp16: comparing with cocon_mask on videos" in result.stderr


def test_for_whom_models_are_served_is_written_again_where_they_are_up_to_date(run: Path, tmp_path: Path) -> None:
    arguments = ["--run", str(run), "--repository", str(tmp_path), "--views", "rgb", "--no-torchscript"]
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    config = tmp_path / "cocon_rgb" / "config.pbtxt"
    assert "count: 1" in config.read_text()
    again = CliRunner().invoke(app, [*arguments, "--instances", "2", "--target", "gpu"], catch_exceptions=False)
    assert "is up to date: nothing to export" in again.stdout
    assert "cocon_rgb: other settings for the server" in again.stderr
    assert "count: 2" in config.read_text()
    assert 'value: "FP32"' in config.read_text()


def test_a_missing_run_or_view_is_a_usage_error(run: Path, tmp_path: Path) -> None:
    for arguments in (
        ["--run", str(tmp_path / "nowhere")],
        ["--run", str(run), "--views", "flow"],
        ["--run", str(run), "--variant", "int4"],
    ):
        result = CliRunner().invoke(app, [*arguments, "--repository", str(tmp_path / "repository")])
        assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "repository").exists()


def test_asking_for_help_loads_nothing_heavy() -> None:
    code = "import sys, cocon.export.cli; print(sorted({'torch', 'onnx', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
