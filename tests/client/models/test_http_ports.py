"""The HTTP and the metrics port of a real server, and of what is none."""

import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from cocon.client.models.http_ports import told_by_http
from cocon.client.models.server import TritonServer
from cocon.client.models.target import Target
from cocon.core.errors import ServerError
from cocon.core.hosts import with_port
from cocon.embedding.embedder import ENCODER
from cocon.serving.launcher import ServerProcess
from cocon.serving.record import ServerRecord


@pytest.mark.parametrize(("of", "what"), [("http_port", "HTTP"), ("metrics_port", "metrics")])
def test_the_port_is_named_and_the_one_to_use(server: ServerProcess, of: str, what: str) -> None:
    address = server.address
    url = with_port(address.host, getattr(address, of))
    with (
        TritonServer(url) as triton,
        pytest.raises(ServerError, match=f"{url} is the {what} port of a Triton; name its"),
    ):
        triton.open(ENCODER, "rgb")
    ServerRecord(server.identity, address, server.repository, "", server.log).save()
    try:
        with TritonServer(url) as triton, pytest.raises(ServerError, match=f"use its gRPC port: --url {server.url}$"):
            _ = triton.views
    finally:
        ServerRecord.forget(address.grpc_port)


def test_another_server_is_no_triton() -> None:
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        told = told_by_http(Target.parse(f"127.0.0.1:{other.server_port}"))
        other.shutdown()
    assert told is not None
    assert "speaks HTTP and is no Triton" in told
