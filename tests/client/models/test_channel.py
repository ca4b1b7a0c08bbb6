"""The way to a server: past the proxies of the environment, or through them."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from cocon.client.models.channel import DescribedVersion, TritonChannel
from cocon.client.models.server import TritonServer
from cocon.client.models.target import Target
from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.embedding.embedder import ENCODER
from cocon.serving.launcher import ServerProcess
from tests.client.models.conftest import Flaky, serving

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


class _ConnectProxy(socketserver.ThreadingTCPServer):
    """Leads to this machine, whatever host is asked for, and remembers what was."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.asked: list[str] = []
        self.url = f"http://me:secret@127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _ConnectProxy)
        self.server.asked.append(place := self.rfile.readline().split()[1].decode())
        while self.rfile.readline().strip():
            pass
        with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2]))) as server:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(server, self.connection), daemon=True)
            back.start()
            _pump(self.connection, server)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # the other side has hung up
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[_ConnectProxy]:
    with _ConnectProxy() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES, "no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "0.0.0.0", "127.1", "[::ffff:127.0.0.1]"])
def test_this_machine_is_never_asked_through_a_proxy(
    host: str, proxy: _ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, proxy.url)
    monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY", f"127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES", "127.0.0.0/8")
    with serving(Flaky()) as place, TritonServer(place.replace("127.0.0.1", host)) as triton:
        assert triton.software == "triton 2.0"
    assert proxy.asked == []


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
def test_another_host_is_asked_through_the_proxy(
    variable: str, proxy: _ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    with serving(Flaky()) as place:
        elsewhere = place.replace("127.0.0.1", "gpu.invalid")
        with TritonServer(elsewhere) as triton:
            assert triton.software == "triton 2.0"
        assert proxy.asked == [elsewhere]
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, *.invalid")
        with TritonServer(elsewhere) as triton, pytest.raises(ServerError, match=r"answers at gpu.invalid:\d+; start"):
            _ = triton.software
        assert proxy.asked == [elsewhere]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("http://me:secret@127.0.0.1:9", r"through the proxy http://\*\*\*@127\.0\.0\.1:9 of https_proxy; no_proxy="),
        ("me:secret@127.0.0.1:9", r"directly: the proxy \*\*\*@127\.0\.0\.1:9 of https_proxy is none of http://"),
        (
            "socks5://me:secret@127.0.0.1:9",
            r"directly: the proxy socks5://\*\*\*@127\.0\.0\.1:9 of https_proxy is none",
        ),
    ],
)
def test_a_failure_names_the_proxy_and_no_password(value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", value)
    with TritonServer("gpu.invalid:8001") as triton, pytest.raises(ServerError, match=told) as caught:
        _ = triton.software
    assert "secret" not in str(caught.value)


def test_a_socket_in_the_file_system_is_a_way_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(Flaky(), f"unix:{tmp_path}/triton") as url, TritonServer(url) as triton:
        assert triton.software == "triton 2.0"


class _Offering(Flaky):
    """Lists `(version, state, reason)` of `cocon_rgb`, one list after the other, and has none of them ready."""

    def __init__(self, *lists: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self._lists = list(lists)

    def RepositoryIndex(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # the protocol's name
        answer = service_pb2.RepositoryIndexResponse()
        for version, state, reason in self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]:
            answer.models.add(name="cocon_rgb", version=version, state=state, reason=reason)
        return answer

    def ModelInfer(self, request: object, context: grpc.ServicerContext) -> None:  # noqa: N802  # likewise
        context.abort(
            grpc.StatusCode.UNAVAILABLE, "Request for unknown model: 'cocon_rgb' version 1 is not at ready state"
        )


def test_models_that_are_being_loaded_are_waited_for() -> None:
    lists = [("1", "LOADING", "")], [("1", "UNLOADING", "")], [("1", "READY", ""), ("2", "LOADING", "")]
    with serving(_Offering(*lists)) as url, TritonServer(url, timeout_s=600) as triton:
        assert triton.views == ("rgb",)


@pytest.mark.parametrize(
    ("listed", "error", "told"),
    [
        ([], UsageError, r"has no model 'cocon_rgb'; it has: none"),
        ([("1", "UNAVAILABLE", "no such file")], ServerError, "'cocon_rgb' on .* is not ready: no such file"),
    ],
)
def test_a_model_that_will_not_come_is_not_waited_for(
    listed: list[tuple[str, str, str]], error: type[Exception], told: str
) -> None:
    with (
        serving(_Offering(listed)) as url,
        TritonServer(url, timeout_s=600) as triton,
        pytest.raises(error, match=told),
    ):
        triton.open(ENCODER, "rgb")


@pytest.mark.parametrize(
    ("listed", "timeout_s", "error", "told"),
    [
        (
            [("1", "UNAVAILABLE", "unloaded"), ("2", "READY", "")],
            600,
            MismatchError,
            "is gone, version 2 is in its place",
        ),
        ([], 600, MismatchError, "is gone, and there is no other"),
        ([("1", "UNAVAILABLE", "unloaded")], 0.5, ServerError, "not at ready state.* within 0.5 s"),
    ],
)
def test_a_version_that_was_replaced_is_not_waited_for(
    listed: list[tuple[str, str, str]], timeout_s: float, error: type[Exception], told: str
) -> None:
    model = DescribedVersion("cocon_rgb", "1", None, "contract.1", "")
    with serving(_Offering(listed)) as url:
        channel = TritonChannel(Target.parse(url), timeout_s=timeout_s)
        with pytest.raises(error, match=told):
            channel.infer(model, {"clip": np.zeros((1, 2), np.uint8)}, {"embedding": "embedding"})
        channel.close()


def test_a_version_that_is_gone_is_no_missing_server(server: ServerProcess) -> None:
    channel = TritonChannel(Target.parse(server.url), timeout_s=600)
    model = channel.newest("cocon_rgb", ENCODER.contract_key)
    with pytest.raises(MismatchError, match=r"no longer has what it had: .*'cocon_rgb' version 7 is not found"):
        channel.infer(
            replace(model, version="7"), {"clip": np.zeros((1, 2, 2, 16, 16, 3), np.uint8)}, {"embedding": "embedding"}
        )
    channel.close()
