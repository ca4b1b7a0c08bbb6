"""Tiny models in a real model repository, and a real server for them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tritonclient.grpc import InferenceServerClient, model_config_pb2

from cocon.embedding.repository import ONNX
from cocon.export.repository.deployment import Deployment
from cocon.serving.address import Address
from cocon.serving.installation import find_installation
from cocon.serving.launcher import ServerProcess
from tests.certificates import Pki, make_pki

CLIP = [2, 2, 8, 8, 3]  # N, T, H, W, C
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def weight() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, weight: NDArray[np.float32]) -> Path:
    """One ONNX model in a repository: clip to embedding, blocks and logits."""
    folder = tmp_path_factory.mktemp("one") / "model_repository"
    write_encoder(folder, "cocon_rgb", weight)
    (folder / ".writer.lock").touch()  # an export leaves it
    return folder


@pytest.fixture(scope="session")
def full_repository(tmp_path_factory: pytest.TempPathFactory, weight: NDArray[np.float32]) -> Path:
    """Two encoders, one of them as TorchScript too with both output namings, and an ensemble that fuses them.

    Its name is one that a shell would not take as it stands.
    """
    folder = tmp_path_factory.mktemp("full") / "José's $(exit) models\n"
    write_encoder(folder, "cocon_rgb", weight)
    write_encoder(folder, "cocon_flow", -weight)
    write_encoder(folder, "cocon_busy", -weight, Deployment(num_instances=2))
    write_torchscript(folder, "cocon_rgb_torchscript", weight, ["embedding", "blocks", "logits"])
    write_torchscript(folder, "cocon_rgb_indexed", weight, ["logits__2", "embedding__0"])
    write_fusion(folder)
    write_ensemble(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _private_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test may see or end a server of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def can_serve(_private_folders: None) -> None:
    """There is a server; where none can run, `-m 'not triton'` leaves out what asks for one."""
    find_installation(Path("model_repository"))


@pytest.fixture(scope="session")
def server(full_repository: Path, can_serve: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("log") / "triton.log"
    with ServerProcess(full_repository, Address.on_free_ports(), log=log, timeout_s=600) as process:
        yield process


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def client(server: ServerProcess) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.url) as connected:
        yield connected


@pytest.fixture
def cli(can_serve: None) -> Cli:
    """Run `cocon serve …` to its end."""

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.fixture
def start(can_serve: None) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `cocon serve …` and leave it running; it is killed at the end of the test."""
    started = []

    def popen(*arguments: str | Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield popen
    for process in started:
        process.kill()
        process.communicate()


def command(*arguments: str | Path) -> list[str]:
    code = "from cocon.core.command import main; main()"
    return [sys.executable, "-c", code, "serve", *map(str, arguments)]


@pytest.fixture
def ports() -> list[str]:
    """Command line options for free ports."""
    address = Address.on_free_ports()
    return [
        f"--grpc-port={address.grpc_port}",
        f"--metrics-port={address.metrics_port}",
    ]


def new_config(name: str, backend: str = "") -> model_config_pb2.ModelConfig:
    config = model_config_pb2.ModelConfig(name=name, backend=backend, max_batch_size=16)
    config.instance_group.add(count=1, kind=model_config_pb2.ModelInstanceGroup.KIND_CPU)
    return config


def add_encoder_tensors(config: model_config_pb2.ModelConfig, outputs: list[str]) -> None:
    dims = {"embedding": [3], "blocks": [2, 3], "logits": [4]}
    config.input.add(name="clip", data_type=model_config_pb2.TYPE_UINT8, dims=CLIP)
    for name in outputs:
        config.output.add(name=name, data_type=model_config_pb2.TYPE_FP32, dims=dims[name.partition("__")[0]])


def write_config(folder: Path, config: model_config_pb2.ModelConfig) -> None:
    (folder / config.name / "1").mkdir(parents=True, exist_ok=True)
    text = text_format.MessageToString(config)
    (folder / config.name / "config.pbtxt").write_text(text, encoding="utf-8")


def write_graph(folder: Path, name: str, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / name / "1" / "model.onnx")


def write_encoder(folder: Path, name: str, weight: NDArray[np.float32], deployment: Deployment | None = None) -> None:
    """blocks = mean over T, H, W; embedding = mean over N; logits = embedding @ weight."""
    config = new_config(name, "onnxruntime")
    if deployment is not None:
        deployment.describe(config, ONNX, {"clip": CLIP})
    add_encoder_tensors(config, ["embedding", "blocks", "logits"])
    config.parameters["intra_op_thread_count"].string_value = "1"
    # What is for a GPU does no harm where there is none.
    config.parameters["cudnn_conv_algo_search"].string_value = "1"
    config.optimization.graph.level = 1
    config.optimization.execution_accelerators.gpu_execution_accelerator.add(
        name="tensorrt", parameters={"precision_mode": "FP16"}
    )
    if deployment is None:
        # Long enough for requests sent at the same time to meet in one batch, even on a busy machine.
        config.dynamic_batching.max_queue_delay_microseconds = 50_000
    for batch_size in (1, 16):
        warm_up = config.model_warmup.add(name=f"batch {batch_size}", batch_size=batch_size)
        warm_up.inputs["clip"].CopyFrom(
            model_config_pb2.ModelWarmup.Input(data_type=model_config_pb2.TYPE_UINT8, dims=CLIP, zero_data=True)
        )
    write_config(folder, config)
    nodes = [
        helper.make_node("Cast", ["clip"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["blocks"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("ReduceMean", ["blocks"], ["embedding"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["embedding", "weight"], ["logits"]),
    ]
    outputs = {"embedding": ["B", 3], "blocks": ["B", 2, 3], "logits": ["B", 4]}
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, ["B", *CLIP])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output, shape in outputs.items()],
        [numpy_helper.from_array(weight, "weight")],
    )
    write_graph(folder, name, graph)


def write_torchscript(folder: Path, name: str, weight: NDArray[np.float32], outputs: list[str]) -> None:
    """The same encoder, its outputs in the order embedding, blocks, logits."""
    import torch

    class Encoder(torch.nn.Module):
        weight: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.tensor(weight))

        def forward(self, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            blocks = clip.float().mean(dim=(2, 3, 4))
            embedding = blocks.mean(dim=1)
            return embedding, blocks, embedding @ self.weight

    config = new_config(name, "pytorch")
    add_encoder_tensors(config, outputs)
    config.parameters["INTRA_OP_THREAD_COUNT"].string_value = "1"
    write_config(folder, config)
    with pytest.warns(DeprecationWarning):
        module = torch.jit.trace(Encoder().eval(), torch.zeros(2, *CLIP, dtype=torch.uint8))  # type: ignore[no-untyped-call]
        module.save(str(folder / name / "1" / "model.pt"))


def write_fusion(folder: Path) -> None:
    config = new_config("cocon_fuse", "onnxruntime")
    for name in ("rgb", "flow"):
        config.input.add(name=name, data_type=model_config_pb2.TYPE_FP32, dims=[4])
    config.output.add(name="logits", data_type=model_config_pb2.TYPE_FP32, dims=[4])
    write_config(folder, config)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 4]) for name in ("rgb", "flow", "logits")]
    graph = helper.make_graph([helper.make_node("Sub", ["rgb", "flow"], ["logits"])], "fuse", tensors[:2], tensors[2:])
    write_graph(folder, "cocon_fuse", graph)


def write_ensemble(folder: Path) -> None:
    config = model_config_pb2.ModelConfig(name="cocon", platform="ensemble", max_batch_size=16)
    fuse = model_config_pb2.ModelEnsembling.Step(model_name="cocon_fuse", model_version=-1)
    for view in ("rgb", "flow"):
        config.input.add(name=view, data_type=model_config_pb2.TYPE_UINT8, dims=CLIP)
        step = config.ensemble_scheduling.step.add(model_name=f"cocon_{view}", model_version=-1)
        step.input_map["clip"] = view
        step.output_map["logits"] = f"{view}_logits"
        fuse.input_map[view] = f"{view}_logits"
    fuse.output_map["logits"] = "logits"
    config.ensemble_scheduling.step.append(fuse)
    config.output.add(name="logits", data_type=model_config_pb2.TYPE_FP32, dims=[4])
    write_config(folder, config)
