"""A server whose models can be made to hang, and a supervisor that looks as often as a test wants."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.serving.supervision.incidents import IncidentFile
from cocon.serving.supervision.settings import WatchSettings
from cocon.serving.supervision.supervisor import Supervisor

CONFIG = """
name: "{name}"
backend: "onnxruntime"
max_batch_size: 4
input {{ name: "turns" data_type: TYPE_INT64 dims: [ 1 ] }}
output {{ name: "sum" data_type: TYPE_FP32 dims: [ 1 ] }}
instance_group {{ count: {instances} kind: KIND_CPU }}
parameters {{ key: "intra_op_thread_count" value: {{ string_value: "1" }} }}
"""
FOR_EVER = 10**15


@pytest.fixture(scope="session")
def turning_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of one and of two instances that count as far as they are told; a large number never ends."""
    repository = tmp_path_factory.mktemp("turning") / "models"
    for name, instances in (("turning", 1), ("turning_twice", 2)):
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(CONFIG.format(name=name, instances=instances))
        onnx.save(_counting(), repository / name / "1" / "model.onnx")
    return repository


@pytest.fixture(scope="module")
def served(turning_models: Path, tmp_path_factory: pytest.TempPathFactory, can_serve: None) -> Iterator[ServerProcess]:
    """A server of a module's own, of a copy of the models."""
    folder = tmp_path_factory.mktemp("served")
    repository = shutil.copytree(turning_models, folder / "models")
    with ServerProcess(
        repository, Address.on_free_ports(), log=folder / "serve.log", timeout_s=600, scrutiny="none"
    ) as server:
        yield server


@pytest.fixture
def supervisor(served: ServerProcess) -> Iterator[Supervisor]:
    """One that asks idle models twice a second, and waits three seconds for an answer; nothing has happened yet."""
    IncidentFile(served.log).forget()
    with closing(Supervisor(served, WatchSettings(interval_s=0.5, timeout_s=3.0))) as supervisor:
        yield supervisor


@pytest.fixture
def look_until(supervisor: Supervisor) -> Callable[[Callable[[], bool]], None]:
    """Look until a condition holds."""

    def look(condition: Callable[[], bool], *, limit_s: float = 60.0) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline
            supervisor.look()
            time.sleep(0.1)

    return look


@pytest.fixture
def count(served: ServerProcess) -> Callable[..., bool]:
    """Whether a model answers: `count("turning", turns=5)`."""

    def ask(model: str, turns: int = 5, *, timeout_s: float = 5.0) -> bool:
        tensor = InferInput("turns", [1, 1], "INT64")
        tensor.set_data_from_numpy(np.full((1, 1), turns))
        with InferenceServerClient(served.url) as client:
            try:
                answer = client.infer(model, [tensor], client_timeout=timeout_s)
            except InferenceServerException:
                return False
        return bool(answer.as_numpy("sum") == turns)

    return ask


@pytest.fixture
def workers(served: ServerProcess) -> Callable[[str], list[psutil.Process]]:
    """The running workers of a model, by the file that they serve."""

    def find(model: str) -> list[psutil.Process]:
        children = psutil.Process(served.identity.pid).children()
        alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return [child for child in alive if f"/{model}/" in " ".join(child.cmdline())]

    return find


def _counting() -> onnx.ModelProto:
    """`sum` is the largest of `turns`, in every row, by a loop of so many turns."""
    scalar = helper.make_tensor("scalar", TensorProto.INT64, [0], [])
    body = helper.make_graph(
        [
            helper.make_node("Add", ["so_far", "one"], ["more"]),
            helper.make_node("Identity", ["condition"], ["goes_on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
            helper.make_tensor_value_info("so_far", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, []),
        ],
    )
    nodes = [
        helper.make_node("ReduceMax", ["turns"], ["most"], keepdims=0),
        helper.make_node("Reshape", ["most", "scalar"], ["limit"]),
        helper.make_node("Loop", ["limit", "yes", "zero"], ["counted"], body=body),
        helper.make_node("Shape", ["turns"], ["shape"]),
        helper.make_node("Expand", ["counted", "shape"], ["sum"]),
    ]
    graph = helper.make_graph(
        nodes,
        "counting",
        [helper.make_tensor_value_info("turns", TensorProto.INT64, ["B", 1])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["B", 1])],
        [
            scalar,
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
