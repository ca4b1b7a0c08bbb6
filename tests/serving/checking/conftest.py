"""A small repository as an export leaves it: an encoder, the model that fuses, and the ensemble of one view."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper
from tritonclient.grpc import model_config_pb2 as triton

from cocon.embedding.config_files import read_config, write_config
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.embedding.repository import ENSEMBLE, FUSE, ONNX
from cocon.export.models.fusion import Fusion
from cocon.export.repository.deployment import Deployment
from cocon.export.repository.model_config import add_version, ensemble_config, kind_config, model_config, take_records
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry

Edit = Callable[[str, Callable[[triton.ModelConfig], object]], Path]

ALL_NEWEST = {"cocon_mask": -1, "cocon_rgb": -1, FUSE: -1}
LABELS = ("jump", "run")


def encoder_contract(view: str, weights: str = "0") -> ModelContract:
    spec = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, "gru")
    return ModelContract("cocon", view, ClipSpec(2, 3), Geometry(9, 8), spec, 4, weights * 64, LABELS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository without a fault."""
    root = tmp_path / "repository"
    contracts = (encoder_contract("mask"), encoder_contract("rgb"))
    for contract in contracts:
        write_version(root, contract)
    fusion = Fusion(contracts)
    fuse = model_config(FUSE, fusion.input_shapes, fusion.output_shapes, input_type="float32", model_format=ONNX)
    write(root, fuse, ONNX.file_name, "fuse", {"formula": fusion.formula()})
    shapes = fusion.output_shapes | fusion.view_shapes
    ensemble = ensemble_config(ENSEMBLE, fusion.clip_shapes, shapes, fusion.steps, ALL_NEWEST)
    write(root, ensemble, "fusion.json", fusion.record.to_json(), {"fusion": fusion.record.to_json()})
    (root / ".writer.lock").touch()
    return root


def write_version(root: Path, contract: ModelContract, version: int = 1) -> None:
    config = kind_config(ENCODER, contract, ONNX, Deployment("gpu", num_instances=2))
    content = f"{contract.view} {version}"
    write(root, config, ONNX.file_name, content, {"contract": contract.to_json(), "parity": "{}"}, version)
    folder = root / config.name
    (folder / str(version) / "contract.json").write_text(contract.to_json())
    (folder / "labels.txt").write_text("jump\nrun\n")


def write(
    root: Path, config: triton.ModelConfig, file_name: str, content: str, record: dict[str, str], version: int = 1
) -> None:
    folder = root / config.name
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / file_name).write_text(content)
    (folder / "README.md").write_text("# card\n")
    path = folder / "config.pbtxt"
    digest = hashlib.sha256(content.encode()).hexdigest()
    if path.is_file():
        take_records(config, read_config(path), range(1, version))
    add_version(config, version, record | {"sha256": digest})
    write_config(config, path)


@pytest.fixture
def edit(root: Path) -> Edit:
    """`edit(name, change)`: change the configuration of a model; the path of its folder."""

    def edited(name: str, change: Callable[[triton.ModelConfig], object]) -> Path:
        path = root / name / "config.pbtxt"
        config = read_config(path)
        change(config)
        path.write_text(text_format.MessageToString(config))
        return path.parent

    return edited


def write_negation(path: Path) -> None:
    """An ONNX file that ONNX Runtime loads: y = -x."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "negation", tensors[:1], tensors[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
