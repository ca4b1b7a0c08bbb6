"""What counts as a model, a version and a file of a repository."""

from pathlib import Path

import pytest

from cocon.embedding.embedder import ENCODER
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL
from cocon.embedding.repository import FORMATS, ONNX, TORCHSCRIPT, ModelFormat, latest_version
from cocon.embedding.tracking.feature_maps import FEATURE_MAPS


@pytest.mark.parametrize("name", ["0", "02", "latest", ".3.partial", "-4", "5.0", "٣"])
def test_what_triton_would_not_take_for_a_version_is_none(tmp_path: Path, name: str) -> None:
    for folder in ("1", name):
        (tmp_path / folder).mkdir()
    (tmp_path / "77").write_text("a file")
    assert latest_version(tmp_path) == 1


def test_a_folder_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert latest_version(tmp_path / "absent") is None


def test_no_two_kinds_or_formats_share_a_model() -> None:
    """A kind that has no file of a format is opened in the one it has."""
    names = {kind.name("rgb", each) for kind in (ENCODER, BOUNDARY_MODEL, FEATURE_MAPS) for each in FORMATS.values()}
    of_encoder = {"cocon_rgb", "cocon_rgb_torchscript", "cocon_rgb_int8", "cocon_rgb_fp16"}
    assert names == of_encoder | {"cocon_rgb_boundaries", "cocon_rgb_feature_map"}


@pytest.mark.parametrize(("model_format", "file"), [(ONNX, "model.onnx"), (TORCHSCRIPT, "model.pt")])
def test_the_newest_version_is_a_file_beside_its_contract(tmp_path: Path, model_format: ModelFormat, file: str) -> None:
    assert ENCODER.newest(tmp_path, "rgb", model_format) is None
    folder = tmp_path / ENCODER.name("rgb", model_format) / "12"
    folder.mkdir(parents=True)
    newest = ENCODER.newest(tmp_path, "rgb", model_format)
    assert newest is not None
    assert (newest.model_path, newest.contract_path) == (folder / file, folder / "contract.json")
