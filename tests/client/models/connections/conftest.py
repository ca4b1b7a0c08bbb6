"""Servers that ask for certificates and keys, and certificates that are in order and that are not."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import trustme
from tritonclient.grpc import service_pb2_grpc

from tests.client.models.conftest import Flaky


@dataclass(frozen=True, slots=True)
class Pki:
    """Files: `ca.pem`, `other-ca.pem` of somebody else, and of each name of `issue` a `.pem` and a `.key`."""

    folder: Path
    ca: trustme.CA
    other: trustme.CA

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def issue(self, name: str, *hosts: str, by_other: bool = False, expired: bool = False) -> None:
        end = datetime.now(UTC) - timedelta(days=1) if expired else None
        signer = self.other if by_other else self.ca
        issued = signer.issue_cert(*hosts, not_after=end)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.file(f"{name}.key"))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"), trustme.CA(), trustme.CA())
    made.ca.cert_pem.write_to_path(made.file("ca.pem"))
    made.other.cert_pem.write_to_path(made.file("other-ca.pem"))
    made.issue("server", "127.0.0.1", "localhost")
    made.issue("elsewhere", "gpu.example")
    made.issue("expired", "127.0.0.1", expired=True)
    made.issue("me", "me@example.org")
    made.issue("stranger", "me@example.org", by_other=True)
    return made


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
