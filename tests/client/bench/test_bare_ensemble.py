"""Several real model files as the ensemble that they make up."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tritonclient.grpc import model_config_pb2 as triton

from cocon.client.bench.bare_ensemble import BareEnsemble, BareStep, bare_steps
from cocon.client.bench.bare_onnx import bare_session, input_specs, onnx_file
from cocon.client.bench.tensors import made_requests
from cocon.core.errors import UsageError
from tests.client.conftest import DIM


@pytest.fixture
def steps(repository: Path, tmp_path: Path) -> list[BareStep]:
    names = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", DIM]) for name in ("a", "b", "sum")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "add", names[:2], names[2:])
    path = tmp_path / "add.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    encoders = [
        BareStep(
            onnx_file(repository, f"cocon_{view}", ""), {"clip": f"clip_{view}"}, {"embedding": f"embedding_{view}"}
        )
        for view in ("rgb", "flow")
    ]
    return [*encoders, BareStep(path, {"a": "embedding_rgb", "b": "embedding_flow"}, {"sum": "embedding"})]


def test_an_ensemble_takes_what_none_of_its_models_makes(steps: list[BareStep]) -> None:
    ensemble = BareEnsemble("cocon", "1", steps)
    assert {name: spec.shape for name, spec in ensemble.inputs.items()} == {
        "clip_rgb": (2, 2, 16, 16, 3),
        "clip_flow": (2, 2, 16, 16, 2),
    }
    for request in made_requests(ensemble.inputs, 3, is_random=True):
        ensemble.caller().call(request)


def test_every_model_is_asked(steps: list[BareStep]) -> None:
    ensemble = BareEnsemble("cocon", "1", steps[1:])
    request = {**made_requests(ensemble.inputs, 1, is_random=False)[0]}
    assert set(request) == {"clip_flow", "embedding_rgb"}
    del request["embedding_rgb"]
    with pytest.raises(KeyError, match="embedding_rgb"):
        ensemble.caller().call(request)


def test_the_files_are_those_of_the_versions_that_an_ensemble_calls(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / "cocon_rgb" / version).mkdir(parents=True)
        (tmp_path / "cocon_rgb" / version / "model.onnx").touch()
    steps = [triton.ModelEnsembling.Step(model_name="cocon_rgb", model_version=version) for version in (1, -1)]
    assert [step.path.parent.name for step in bare_steps(tmp_path, steps)] == ["1", "2"]


def test_inputs_that_no_model_of_ours_takes_are_refused_by_name(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", 2]) for name in ("ids", "same")]
    graph = helper.make_graph([helper.make_node("Identity", ["ids"], ["same"])], "ids", ends[:1], ends[1:])
    path = tmp_path / "ids.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    with pytest.raises(UsageError, match=r"input 'ids' of the model is tensor\(int64\); --bare knows"):
        input_specs(bare_session(path))
