"""The file that a stand-in backend loads is the one that the configuration records for its version."""

import hashlib
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from cocon.core.errors import MismatchError
from cocon.embedding.repository import ONNX
from cocon.serving.backends.model_files import model_content
from cocon.serving.backends.onnx_sessions import open_session


def test_another_file_than_the_recorded_one_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "2" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    args = {"model_repository": str(tmp_path), "model_version": "2"}
    recorded = {"string_value": hashlib.sha256(b"weights").hexdigest()}
    config = {"default_model_filename": "", "parameters": {"sha256.1": {"string_value": "0"}, "sha256.2": recorded}}
    assert model_content(args, config, ONNX) == b"weights"
    path.write_bytes(b"Weights")
    with pytest.raises(MismatchError, match=r"2/model\.onnx' is another file than was exported"):
        model_content(args, config, ONNX)
    assert model_content(args, config | {"parameters": {}}, ONNX) == b"Weights"
    path.unlink()
    with pytest.raises(MismatchError, match="cannot be loaded: No such file"):
        model_content(args, config, ONNX)


def test_a_graph_whose_weights_are_in_another_file_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime would look for it in the working directory."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="weights.bin")
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", tensors[:1], tensors[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (tmp_path / "weights.bin").write_bytes(bytes(12))
    monkeypatch.chdir(tmp_path)
    config = {"optimization": {"graph": {"level": 2}}}
    with pytest.raises(Exception, match=r"External data path does not exist"):  # ONNX Runtime has no common class
        open_session(model.SerializeToString(), config, "CPU", "0")
