"""A real server for the tiny models, and one that says what it is told to say."""

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import onnx
import pytest
from google.protobuf import text_format
from onnx import numpy_helper
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from cocon.embedding.contract import ModelContract
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import contract


def write_config(
    folder: Path, model: ModelContract, backend: str, *, record: str | None = None, threads: Mapping[str, str] = {}
) -> None:
    file_name, is_indexed = ("model.onnx", False) if backend == "onnxruntime" else ("model.pt", True)
    config = model_config_pb2.ModelConfig(
        name=folder.name, backend=backend, max_batch_size=4, default_model_filename=file_name
    )
    config.input.add(name="clip", data_type=model_config_pb2.TYPE_UINT8, dims=model.clip_shape)
    for position, (name, shape) in enumerate(model.output_shapes.items()):
        tensor = f"{name}__{position}" if is_indexed else name
        config.output.add(name=tensor, data_type=model_config_pb2.TYPE_FP32, dims=shape)
    config.instance_group.add(count=1, kind=model_config_pb2.ModelInstanceGroup.KIND_CPU)
    config.parameters["contract.1"].string_value = model.to_json() if record is None else record
    if (served := folder / "1" / file_name).exists():
        config.parameters["sha256.1"].string_value = hashlib.sha256(served.read_bytes()).hexdigest()
    for key, number in threads.items():
        config.parameters[key].string_value = number
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config))


def write_torchscript(repository: Path, model: ModelContract) -> None:
    """The same function as the ONNX model beside it."""
    import torch

    graph = onnx.load(repository / f"cocon_{model.view}" / "1" / "model.onnx").graph
    weight, head = (
        torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer if tensor.name in ("weight", "head")
    )

    class Encoder(torch.nn.Module):
        def forward(self, clip: torch.Tensor) -> tuple[torch.Tensor, ...]:
            cells = (clip.float() - 100).reshape(-1, 2, 2, 4, 4, 4, 4, 3).mean(dim=(2, 4, 6)).reshape(-1, 2, 48)
            blocks = torch.nn.functional.normalize(cells @ weight, dim=-1)
            mean = blocks.mean(dim=1)
            return torch.nn.functional.normalize(mean, dim=-1), blocks, mean @ head, blocks @ head

    folder = repository / f"cocon_{model.view}_torchscript"
    (folder / "1").mkdir(parents=True)
    with pytest.warns(DeprecationWarning):
        traced = torch.jit.trace(Encoder().eval(), torch.zeros(2, *model.clip_shape, dtype=torch.uint8))  # type: ignore[no-untyped-call]
        traced.save(str(folder / "1" / "model.pt"))
    write_config(folder, model, "pytorch", threads={"INTRA_OP_THREAD_COUNT": "3"})


@pytest.fixture(scope="session")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    served = tmp_path_factory.mktemp("served") / "model_repository"
    shutil.copytree(repository, served)
    for model in (contract("rgb"), contract("flow", weights="2")):
        write_config(served / f"cocon_{model.view}", model, "onnxruntime")
    write_torchscript(served, contract("rgb"))
    shutil.copytree(served / "cocon_rgb", served / "cocon_pose")
    write_config(served / "cocon_pose", contract("rgb"), "onnxruntime", record="{}")
    log = tmp_path_factory.mktemp("log") / "triton.log"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("xdg")))
        # One of its contracts is damaged: what a client says of that is tested here.
        with ServerProcess(
            served, Address.on_free_ports(http=True), log=log, timeout_s=600, scrutiny="none"
        ) as process:
            yield process


class Flaky(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, untyped
    """Fails a few times before it answers; it is about to end as long as it fails, where that is said."""

    def __init__(
        self,
        status: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        num_failures: int = 0,
        *,
        is_ending: bool = False,
        message: str = "not now",
        hangs_s: float = 0.0,
    ) -> None:
        self._status, self._message, self._hangs_s = status, message, hangs_s
        self.num_failures = num_failures
        self._is_ending = is_ending
        self.num_requests = self.num_lives = 0

    def ServerMetadata(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # the protocol's name
        self.num_requests += 1
        if self.num_requests <= self.num_failures:
            time.sleep(self._hangs_s)
            context.abort(self._status, self._message)
        return service_pb2.ServerMetadataResponse(name="triton", version="2.0")

    def ServerLive(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # likewise
        self.num_lives += 1
        if self._is_ending and self.num_requests <= self.num_failures:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Server exiting")
        return service_pb2.ServerLiveResponse(live=True)


@contextmanager
def serving(servicer: Flaky, place: str = "127.0.0.1:0", *, most_bytes: int = -1) -> Iterator[str]:
    """A server; gives its URL.

    Args:
        servicer: What it says.
        place: Where it listens.
        most_bytes: Of a request; -1 for any.
    """
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", most_bytes)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(place)
    server.start()
    try:
        yield place.replace(":0", f":{port}")
    finally:
        server.stop(None).wait()
