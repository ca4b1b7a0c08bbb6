"""The way to a server: past the proxies of the environment, or through them."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cocon.client.models.server import TritonServer
from cocon.core.errors import ServerError
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
