"""Configurations are written byte for byte as the last release wrote them, but for an output that came since."""

import tarfile
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from cocon.embedding.config_files import parameter, read_config
from cocon.embedding.embedder import ENCODER
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL
from cocon.embedding.repository import CONFIG_FILE, ONNX, TORCHSCRIPT
from cocon.embedding.tracking.feature_maps import FEATURE_MAPS
from cocon.export.drafts import fusion_drafts
from cocon.export.repository.deployment import Deployment
from cocon.export.repository.folder import newest_contract
from cocon.export.repository.model_config import kind_config

RELEASED = Path(__file__).resolve().parents[2] / "released" / "released.tar.xz"
KINDS = {
    "cocon_rgb": (ENCODER, "rgb", ONNX),
    "cocon_flow": (ENCODER, "flow", ONNX),
    "cocon_rgb_torchscript": (ENCODER, "rgb", TORCHSCRIPT),
    "cocon_rgb_boundaries": (BOUNDARY_MODEL, "rgb", ONNX),
    "cocon_rgb_feature_map": (FEATURE_MAPS, "rgb", ONNX),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of the last release."""
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(RELEASED) as archive:
        archive.extractall(folder, [each for each in archive if "/repository/" in each.name], filter="data")
    return folder / "repository"


def without_versions(config: triton.ModelConfig) -> str:
    for key in [key for key in config.parameters if key.endswith(".1")]:
        del config.parameters[key]
    queue = config.dynamic_batching  # bounded since then
    for field in ("default_queue_policy", "priority_levels", "default_priority_level"):
        queue.ClearField(field)
    if any(-1 in tensor.dims for tensor in config.input):
        config.ClearField("dynamic_batching")
    return str(text_format.MessageToString(config, as_utf8=True))


@pytest.mark.parametrize("model", KINDS)
def test_a_models_configuration_is_that_of_the_last_release(repository: Path, model: str) -> None:
    kind, view, model_format = KINDS[model]
    released = read_config(repository / model / CONFIG_FILE)
    contract = newest_contract(repository, kind, view, model_format)
    assert contract is not None
    assert parameter(released, f"{kind.contract_key}.1") == contract.to_json()
    num_threads = parameter(released, model_format.threads_parameter)
    config = kind_config(kind, contract, model_format, Deployment(num_threads=int(num_threads or 0)))
    if kind is ENCODER:
        assert config.output.pop().name.startswith("block_logits")
    assert without_versions(config) == without_versions(released)


def test_fusion_and_ensemble_are_configured_as_in_the_last_release(repository: Path) -> None:
    found = {draft.config.name: draft.config for draft in fusion_drafts([], repository)}
    assert list(found) == ["cocon_fuse", "cocon"]
    # Since then the ensemble also gives what the encoders give, which here are those of then.
    ensemble = found["cocon"]
    of_views, views = [output.name for output in ensemble.output[2:]], ("flow", "mask", "pose", "rgb")
    assert of_views == [f"{name}_{view}" for view in views for name in ("embedding", "blocks", "logits")]
    del ensemble.output[2:]
    for step in ensemble.ensemble_scheduling.step:
        step.output_map.pop("blocks", None)
        assert step.model_version == 1
        step.model_version = -1  # the newest, as it was
    for name, config in found.items():
        assert without_versions(config) == without_versions(read_config(repository / name / CONFIG_FILE))
