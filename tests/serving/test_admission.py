"""What a server lets strangers do, and its operator."""

from collections.abc import Callable

import psutil
import pytest
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.core.errors import ServerError
from cocon.embedding.server_keys import MEMORY_KEY, OPERATOR_KEY
from cocon.serving.launcher import ServerProcess
from cocon.serving.operator_client import OperatorClient

CLOSED: dict[str, Callable[[InferenceServerClient], object]] = {
    "repository index": lambda client: client.get_model_repository_index(),
    "load": lambda client: client.load_model("cocon_rgb"),
    "load with files": lambda client: client.load_model("x", config="{}", files={"file:1/model.py": b"import os"}),
    "unload": lambda client: client.unload_model("cocon_rgb"),
    "logging": lambda client: client.update_log_settings({"log_file": "/tmp/cocon-stranger.log"}),
    "trace": lambda client: client.update_trace_settings(settings={"trace_file": "/tmp/cocon-stranger.trace"}),
    "memory": lambda client: client.register_system_shared_memory("x", "/x", 1),
    "memory of CUDA": lambda client: client.get_cuda_shared_memory_status(),
}


@pytest.mark.parametrize("verb", CLOSED)
@pytest.mark.parametrize("headers", [{}, {"triton-grpc-protocol-cocon-operator": "0" * 64}])
def test_administrative_verbs_are_closed_to_strangers(
    verb: str, headers: dict[str, str], server: ServerProcess
) -> None:
    with InferenceServerClient(server.url) as stranger:
        with pytest.raises(InferenceServerException, match="This protocol is restricted"):
            CLOSED[verb](stranger)
        assert stranger.is_model_ready("cocon_rgb")


def test_the_key_for_memory_loads_no_model_and_the_operators_opens_no_memory(server: ServerProcess) -> None:
    port = server.address.grpc_port
    with InferenceServerClient(server.url) as client:
        with pytest.raises(InferenceServerException, match="expecting header 'triton-grpc-protocol-cocon-operator'"):
            client.unload_model("cocon_rgb", headers=MEMORY_KEY.headers(port))
        with pytest.raises(InferenceServerException, match="expecting header 'triton-grpc-protocol-cocon-memory'"):
            client.get_system_shared_memory_status(headers=OPERATOR_KEY.headers(port))
        client.get_system_shared_memory_status(headers=MEMORY_KEY.headers(port))


def test_the_operator_unloads_and_loads(server: ServerProcess) -> None:
    with OperatorClient(server.address) as operator:
        operator.unload("cocon_rgb_indexed")
        assert not operator.connection.is_model_ready("cocon_rgb_indexed")
        operator.load("cocon_rgb_indexed")
        assert operator.connection.is_model_ready("cocon_rgb_indexed")
        assert {model.state for model in operator.index()} == {"READY"}
        with pytest.raises(ServerError, match="failed to load 'nothing'"):
            operator.load("nothing")


def test_who_has_no_key_is_told_where_it_is(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    with OperatorClient(server.address) as stranger, pytest.raises(ServerError, match="key in '/nowhere/cocon/serve-"):
        stranger.index()


def test_http_is_not_spoken_unless_asked_for(server: ServerProcess) -> None:
    listening = {
        connection.laddr.port
        for connection in psutil.Process(server.identity.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {server.address.grpc_port, server.address.metrics_port}
