"""Servers that ask for certificates and keys, and certificates that are in order and that are not."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2_grpc

from tests.certificates import Pki, make_pki
from tests.client.models.conftest import Flaky


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


class KeyKeeper(grpc.ServerInterceptor):  # type: ignore[misc]  # untyped
    """Lets nobody in without a header, as a proxy."""

    def __init__(self, header: str, value: str) -> None:
        self.expected = header, value

    def intercept_service(self, continuation: Callable[..., object], details: grpc.HandlerCallDetails) -> object:
        if self.expected in [tuple(pair) for pair in details.invocation_metadata]:
            return continuation(details)

        def refuse(request: object, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid key")

        return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def serving_tls(
    pki: Pki, name: str = "server", *, is_mutual: bool = False, keeper: KeyKeeper | None = None
) -> Iterator[str]:
    """A server that shows the certificate of a name; gives its URL."""
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[keeper] if keeper else [])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Flaky(), server)
    pair = Path(pki.file(f"{name}.key")).read_bytes(), Path(pki.file(f"{name}.pem")).read_bytes()
    trusted = Path(pki.file("ca.pem")).read_bytes() if is_mutual else None
    credentials = grpc.ssl_server_credentials([pair], trusted, require_client_auth=is_mutual)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"grpcs://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
