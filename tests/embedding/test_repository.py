"""What counts as a model, a version and a file of a repository."""

from pathlib import Path

import pytest

from cocon.core.errors import MismatchError
from cocon.embedding.config_files import current_version
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


def _versions(root: Path, model: str, numbers: str, config: str = "") -> None:
    for number in numbers.split():
        (root / model / number).mkdir(parents=True)
    (root / model / "config.pbtxt").write_text(f'name: "{model}"\nbackend: "onnxruntime"\n{config}')


def _parameter(key: str, text: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: {text!r} }} }}\n'


CURRENT_1 = _parameter("current_version", "1")


@pytest.mark.parametrize(
    ("config", "version"),
    [
        ("", 3),
        ("version_policy { specific { versions: 1 versions: 2 } }", 2),
        ("version_policy { specific { versions: [1, 2] } }" + CURRENT_1, 1),
        ("version_policy { specific { versions: 2 } }" + CURRENT_1, 2),
        (CURRENT_1, 3),  # which is not served
        ("version_policy { all {} }" + CURRENT_1, 1),
        ("version_policy { latest { num_versions: 2 } }" + _parameter("current_version", "2"), 2),
        ("version_policy { latest { num_versions: 2 } }" + CURRENT_1, 3),
        ("version_policy { specific { versions: 9 } }", 3),  # a server has none; here it is the newest
        (_parameter("current_version", "newest"), 3),
    ],
)
def test_the_current_version_is_the_one_that_a_server_gives(tmp_path: Path, config: str, version: int) -> None:
    _versions(tmp_path, "cocon_rgb", "1 2 3", config)
    assert current_version(tmp_path, "cocon_rgb") == version
    current = ENCODER.current(tmp_path, "rgb")
    assert current is not None
    assert current.folder == tmp_path / "cocon_rgb" / str(version)


def test_the_current_version_is_the_one_that_the_current_ensemble_calls(tmp_path: Path) -> None:
    _versions(tmp_path, "cocon_rgb", "1 2 3")
    _versions(tmp_path, "cocon_flow", "1")
    steps = _parameter("steps.1", '{"cocon_rgb": 2, "cocon_flow": 7}') + _parameter("steps.2", '{"cocon_rgb": 3}')
    _versions(tmp_path, "cocon", "1 2", "version_policy { specific { versions: 1 } }" + CURRENT_1 + steps)
    assert [current_version(tmp_path, name) for name in ("cocon", "cocon_rgb", "cocon_flow")] == [1, 2, 1]
    texts = ("[1]", "{", "[" * 100_000, '{"cocon_rgb": 1e999}')
    for damage in (*(_parameter("steps.2", text) for text in texts), "}"):
        (tmp_path / "cocon" / "config.pbtxt").write_text(damage)
        assert current_version(tmp_path, "cocon_rgb") == 3  # a damaged ensemble is no matter of who asks one view
    assert current_version(tmp_path, "cocon_pose") is None
    (tmp_path / "cocon_rgb" / "config.pbtxt").write_text("}")
    with pytest.raises(MismatchError, match="is no model configuration"):
        current_version(tmp_path, "cocon_rgb")
