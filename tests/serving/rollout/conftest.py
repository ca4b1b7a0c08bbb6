"""Encoders of two views in two versions each, and ensembles of either, in a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient.grpc import model_config_pb2 as triton

from cocon.embedding.config_files import STEPS_KEY, parameter, read_config, steps_text, take_tensors, write_config
from cocon.embedding.contract import ModelContract
from cocon.embedding.fusion_record import FUSION_KEY, FusionRecord
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.video.store.dataset import content_sha256
from tests.client.conftest import contract, write_model

VIEWS = ("flow", "rgb")


def encoder(view: str, version: int) -> ModelContract:
    """Contract of an encoder whose weights are of its view and version."""
    return contract(view, weights=f"{view}{version}")


def add_encoder(repository: Path, view: str, version: int) -> None:
    """A version of an encoder, as an export leaves it."""
    model, folder = encoder(view, version), repository / f"cocon_{view}"
    write_model(folder / str(version), model)
    path = folder / "config.pbtxt"
    config = read_config(path) if path.is_file() else _new_config(folder.name, model)
    config.parameters[f"contract.{version}"].string_value = model.to_json()
    config.parameters[f"sha256.{version}"].string_value = content_sha256(folder / str(version) / "model.onnx")
    write_config(config, path)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in model.labels))


def add_ensemble(repository: Path, version: int, parts: int) -> None:
    """A version of the ensemble, which calls a version of every encoder and fuses nothing itself."""
    folder, path = repository / "cocon", repository / "cocon" / "config.pbtxt"
    config = triton.ModelConfig(name="cocon", platform="ensemble", max_batch_size=4)
    contracts = {view: encoder(view, parts) for view in VIEWS}
    for view, model in contracts.items():
        config.input.add(name=f"clip_{view}", data_type=triton.TYPE_UINT8, dims=model.clip_shape)
        step = config.ensemble_scheduling.step.add(model_name=f"cocon_{view}", model_version=parts)
        step.input_map["clip"] = f"clip_{view}"
        for name, shape in model.output_shapes.items():
            config.output.add(name=f"{name}_{view}", data_type=triton.TYPE_FP32, dims=shape)
            step.output_map[name] = f"{name}_{view}"
    (folder / str(version)).mkdir(parents=True)
    write_config(config, folder / str(version) / "config.pbtxt")
    fingerprints = {view: model.fingerprint for view, model in contracts.items()}
    record = FusionRecord(fingerprints, dict.fromkeys(VIEWS, 0.5), 16, contracts["rgb"].labels)
    (folder / str(version) / "fusion.json").write_text(record.to_json())
    if path.is_file():  # which versions are served, and what those call, is not an export's to change
        earlier = read_config(path)
        config.parameters.MergeFrom(earlier.parameters)
        if earlier.HasField("version_policy"):
            config.version_policy.CopyFrom(earlier.version_policy)
            take_tensors(config, earlier)
    config.parameters[f"{FUSION_KEY}.{version}"].string_value = record.to_json()
    config.parameters[f"{STEPS_KEY}.{version}"].string_value = steps_text({f"cocon_{view}": parts for view in VIEWS})
    config.parameters[f"sha256.{version}"].string_value = content_sha256(folder / str(version) / "fusion.json")
    write_config(config, path)


def _new_config(name: str, model: ModelContract) -> triton.ModelConfig:
    config = triton.ModelConfig(name=name, backend="onnxruntime", max_batch_size=4, default_model_filename="model.onnx")
    config.input.add(name="clip", data_type=triton.TYPE_UINT8, dims=model.clip_shape)
    for output, shape in model.output_shapes.items():
        config.output.add(name=output, data_type=triton.TYPE_FP32, dims=shape)
    config.instance_group.add(count=1, kind=triton.ModelInstanceGroup.KIND_CPU)
    config.parameters["intra_op_thread_count"].string_value = "1"
    return config


def add_versions(repository: Path, version: int) -> None:
    """That version of everything."""
    for view in VIEWS:
        add_encoder(repository, view, version)
    add_ensemble(repository, version, version)


def configured(repository: Path, model: str, key: str) -> tuple[list[int], str | None]:
    """The versions that a configuration says are to be served, and a parameter of it."""
    config = read_config(repository / model / "config.pbtxt")
    return list(config.version_policy.specific.versions), parameter(config, key)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The first version of everything."""
    add_versions(tmp_path / "models", 1)
    return tmp_path / "models"


@pytest.fixture
def server(repository: Path, can_serve: None, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(repository, Address.on_free_ports(), log=tmp_path / "triton.log", timeout_s=600) as process:
        yield process
