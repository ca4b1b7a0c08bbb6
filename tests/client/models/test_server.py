"""The Triton client against a real server: the same numbers as without one, and clear errors."""

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from onnx import numpy_helper
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from cocon.client import VideoEmbedder, connect
from cocon.client.models.server import TritonServer
from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER, assert_congruent
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import Client, contract


def write_config(folder: Path, model: ModelContract, backend: str, *, record: str | None = None) -> None:
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
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config))


def write_torchscript(repository: Path, model: ModelContract) -> None:
    """The same function as the ONNX model beside it."""
    import torch

    graph = onnx.load(repository / f"cocon_{model.view}" / "1" / "model.onnx").graph
    weight, head = (
        torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer if tensor.name in ("weight", "head")
    )

    class Encoder(torch.nn.Module):
        def forward(self, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            cells = (clip.float() - 100).reshape(-1, 2, 2, 4, 4, 4, 4, 3).mean(dim=(2, 4, 6)).reshape(-1, 2, 48)
            blocks = torch.nn.functional.normalize(cells @ weight, dim=-1)
            mean = blocks.mean(dim=1)
            return torch.nn.functional.normalize(mean, dim=-1), blocks, mean @ head

    folder = repository / f"cocon_{model.view}_torchscript"
    (folder / "1").mkdir(parents=True)
    with pytest.warns(DeprecationWarning):
        traced = torch.jit.trace(Encoder().eval(), torch.zeros(2, *model.clip_shape, dtype=torch.uint8))  # type: ignore[no-untyped-call]
        traced.save(str(folder / "1" / "model.pt"))
    write_config(folder, model, "pytorch")


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
        with ServerProcess(served, Address.on_free_ports(), log=log, timeout_s=600) as process:
            yield process


@pytest.fixture
def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return f"127.0.0.1:{bound.getsockname()[1]}"


def random_clips(num_clips: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_clips, 2, 2, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("model_format", ["onnx", "torchscript"])
def test_triton_gives_what_local_inference_gives(server: ServerProcess, url: str, model_format: str) -> None:
    local = connect(url).open(ENCODER, "rgb")
    with TritonServer(server.url, model_format=model_format) as triton:  # type: ignore[arg-type]  # parametrised
        served = triton.open(ENCODER, "rgb")
        assert (served.version, served.max_batch_size) == ("1", 4)
        assert served.contract == local.contract
        for num_clips in (1, 4):
            assert_congruent(local, served, random_clips(num_clips))


def test_videos_through_triton_equal_videos_without(server: ServerProcess, url: str, videos: list[Path]) -> None:
    results = []
    for place in (f"grpc://{server.url}", url):
        with VideoEmbedder(place, views=("rgb", "flow")) as embedder:
            results.append(list(embedder.embed_many(videos)))
    for served, local in zip(*results, strict=True):
        np.testing.assert_allclose(served.embedding, local.embedding, atol=1e-5)
        assert served.fingerprint == local.fingerprint
        assert served.view == "flow+rgb"


def test_missing_model_names_those_there_are(server: ServerProcess) -> None:
    with TritonServer(server.url) as triton, pytest.raises(UsageError, match=r"no model 'cocon_mask'.*cocon_rgb"):
        triton.open(ENCODER, "mask")


def test_model_with_a_foreign_contract_is_refused(server: ServerProcess) -> None:
    with TritonServer(server.url) as triton, pytest.raises(MismatchError, match=r"cocon_pose.*export again"):
        triton.open(ENCODER, "pose")


def test_deadline_is_kept_by_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"127.0.0.1:{deaf.getsockname()[1]}"
        with TritonServer(url, timeout_s=0.3) as triton, pytest.raises(ServerError, match=r"0\.3 s; raise --timeout-s"):
            triton.open(ENCODER, "rgb")


class _Flaky(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, untyped
    """Fails a few times before it answers."""

    def __init__(self, status: grpc.StatusCode, num_failures: int) -> None:
        self._status = status
        self._num_failures = num_failures
        self.num_requests = 0

    def ServerMetadata(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # the protocol's name
        self.num_requests += 1
        if self.num_requests <= self._num_failures:
            context.abort(self._status, "not now")
        return service_pb2.ServerMetadataResponse(name="triton", version="2.0")


@contextmanager
def serving(servicer: _Flaky) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_unavailable_server_is_asked_again() -> None:
    servicer = _Flaky(grpc.StatusCode.UNAVAILABLE, 2)
    with serving(servicer) as url, TritonServer(url) as triton:
        assert triton.software == "triton 2.0"
    assert servicer.num_requests == 3


@pytest.mark.parametrize(("status", "num_requests"), [(grpc.StatusCode.UNAVAILABLE, 4), (grpc.StatusCode.INTERNAL, 1)])
def test_retries_are_bounded_and_for_unavailable_only(status: grpc.StatusCode, num_requests: int) -> None:
    servicer = _Flaky(status, 1000)
    with serving(servicer) as url, TritonServer(url) as triton, pytest.raises(ServerError, match="not now"):
        _ = triton.software
    assert servicer.num_requests == num_requests


def test_info_of_a_server(server: ServerProcess, client: Client) -> None:
    result = client("info", "--url", server.url, "--json")
    assert result.returncode == 5, "the pose model's contract is damaged"
    assert "cocon_pose" in result.stderr


def test_no_server_is_one_line_and_exit_code_4(process: Client, dead_url: str, videos: list[Path]) -> None:
    result = process("embed", videos[0], "--url", dead_url)
    assert result.returncode == 4
    assert result.stderr.count("\n") == 1
    assert dead_url in result.stderr
    assert "cocon serve" in result.stderr
    assert "local:" in result.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "localhost", "grpc://", "host:port"])
def test_strange_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        connect(url)
