"""A server that is slow: requests that are called off, and those that it has no room for."""

import logging
import re
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cocon.client.models.server import TritonServer
from cocon.core.errors import ServerError
from cocon.embedding.embedder import ENCODER
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import contract, make_repository
from tests.client.models.conftest import write_config

SIDE = 256
CLIPS = np.random.default_rng(0).integers(0, 256, (2, 2, 2, 16, 16, 3), dtype=np.uint8)


def slow_down(path: Path, num_products: int) -> None:
    """Have a model multiply so many matrices before it gives its embedding."""
    model = onnx.load(path)
    graph = model.graph
    last = next(node for node in graph.node if "embedding" in node.output)
    last.output[list(last.output).index("embedding")] = "quick"
    numbers, truth = [("product_in", [SIDE, SIDE]), ("product", [SIDE, SIDE])], TensorProto.BOOL
    taken, given = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in numbers)
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["product_in", "unit"], ["product"]),
            helper.make_node("Identity", ["go"], ["goes"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", truth, []),
            taken,
        ],
        [helper.make_tensor_value_info("goes", truth, []), given],
    )
    constants = {
        "unit": np.eye(SIDE, dtype=np.float32),
        "times": np.array(num_products, np.int64),
        "yes": np.array(True),
        "nothing": np.array(0, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in constants.items())
    graph.node.extend(
        [
            helper.make_node("ReduceMean", ["pixels"], ["mean_pixel"], keepdims=0),
            helper.make_node("Mul", ["unit", "mean_pixel"], ["start"]),
            helper.make_node("Loop", ["times", "yes", "start"], ["end"], body=body),
            helper.make_node("ReduceMean", ["end"], ["mean_end"], keepdims=0),
            helper.make_node("Mul", ["mean_end", "nothing"], ["none"]),
            helper.make_node("Add", ["quick", "none"], ["embedding"]),
        ]
    )
    onnx.save(model, path)


@contextmanager
def slow_server(tmp_path: Path, num_products: int, *, settings: str = "") -> Iterator[ServerProcess]:
    repository = make_repository(tmp_path / "repository", contract("rgb"))
    slow_down(repository / "cocon_rgb" / "1" / "model.onnx", num_products)
    write_config(repository / "cocon_rgb", contract("rgb"), "onnxruntime")
    with (repository / "cocon_rgb" / "config.pbtxt").open("a") as config:
        config.write(settings)
    log = tmp_path / "log"
    with ServerProcess(repository, Address.on_free_ports(), log=log, timeout_s=600, scrutiny="none") as server:
        yield server


@pytest.fixture(autouse=True)
def _private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of the user's is seen or ended."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def num_pending(server: ServerProcess) -> int:
    """How many requests wait, by the server's own account."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.address.metrics_port}/metrics") as metrics:
        found = re.search(r"^nv_inference_pending_request_count\{.*\} (\d+)", metrics.read().decode(), re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.triton
def test_a_server_computes_nothing_for_requests_that_were_called_off(tmp_path: Path) -> None:
    with slow_server(tmp_path, 4000) as server, TritonServer(server.url, timeout_s=600) as patient:
        encoder = patient.open(ENCODER, "rgb")
        expected = encoder.embed(CLIPS).embedding  # from which the server knows that it takes long
        hasty = [TritonServer(server.url, timeout_s=600) for _ in range(4)]
        with ThreadPoolExecutor(len(hasty)) as threads:
            waiting = [threads.submit(one.open(ENCODER, "rgb").embed, CLIPS) for one in hasty]
            while num_pending(server) < 3:
                assert not all(answer.done() for answer in waiting)
            for one in hasty:
                one.close()
            for answer in waiting:
                assert isinstance(answer.exception(timeout=60), ServerError | ValueError)
        np.testing.assert_array_equal(encoder.embed(CLIPS).embedding, expected)
    called_off = re.findall(r"request '([0-9a-f]+-\d+)' was called off", server.log.read_text())
    assert len(set(called_off)) == len(called_off) >= 2


QUEUE_OF_ONE = "dynamic_batching { default_queue_policy { max_queue_size: 1 } }"


@pytest.mark.triton
def test_clients_of_a_full_queue_are_refused_and_come_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cocon.client.models.connections.request_log")
    with slow_server(tmp_path, 500, settings=QUEUE_OF_ONE) as server, ThreadPoolExecutor(8) as threads:

        def embed(_: int) -> NDArray[np.float32]:
            with TritonServer(server.url, timeout_s=600) as triton:
                return triton.open(ENCODER, "rgb").embed(CLIPS).embedding

        found = list(threads.map(embed, range(8)))
    assert all(np.array_equal(one, found[0]) for one in found)
    assert "Exceeds maximum queue size" in caplog.text
