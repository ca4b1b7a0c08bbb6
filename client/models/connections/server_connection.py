"""One connection to one server: past proxies or through them, by TLS and with a key where those are asked for."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import grpc
import tritonclient.grpc as grpc_client

from cocon.client.models.connections.credentials import Credentials
from cocon.client.models.shared_tensors import SharedTensors
from cocon.client.models.target import Target
from cocon.core.proxies import DIRECT, Proxy, proxy_for
from cocon.embedding.server_keys import MEMORY_KEY

__all__ = ["ServerConnection"]

_CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # gRPC's own default of 4 MiB is less than three clips.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # `Retries` asks again, until the deadline.
    ("grpc.enable_retries", 0),
    # A server that comes back is found within a second; gRPC's own pauses grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # How long it may take to connect, by gRPC's own default 20 s: somebody who listens and says nothing is no server.
    ("grpc.min_reconnect_backoff_ms", 5000),
)


@dataclass(frozen=True, slots=True)
class ServerConnection:
    """Not safe for several threads.

    Attributes:
        target: The server.
        proxy: What stands before it.
        client: That asks it.
        shared: Memory that it may see too.
    """

    target: Target
    proxy: Proxy | None
    client: grpc_client.InferenceServerClient
    shared: SharedTensors

    @classmethod
    def open(cls, target: Target, credentials: Credentials, *, shares_memory: bool) -> Self:
        """Open it; nothing is asked yet.

        Args:
            target: The server.
            credentials: By which it is known, and who asks it.
            shares_memory: Whether large tensors go through memory that a server on this machine sees too.

        Raises:
            UsageError: The credentials are none, or not for this server.
        """
        credentials.check(target)
        proxy = proxy_for(target.host, target.port) if target.host else None
        way = () if proxy and proxy.is_usable else DIRECT
        client, is_beside = _client(target, credentials, way), target.is_here and way is DIRECT
        shared = SharedTensors(
            client, is_wanted=shares_memory and is_beside, key=partial(MEMORY_KEY.headers, target.port)
        )
        return cls(target, proxy, client, shared)

    def close(self) -> None:
        """Close it; who waits for an answer in another thread waits no longer."""
        self.shared.close()
        self.client.close()


def _client(
    target: Target, credentials: Credentials, way: tuple[tuple[str, int | str], ...]
) -> grpc_client.InferenceServerClient:
    # One client and one channel per object: tritonclient shares neither between threads.
    tls = grpc.ssl_channel_credentials(*credentials.pem()) if target.is_tls else None
    client = grpc_client.InferenceServerClient(target.name, creds=tls, channel_args=[*_CHANNEL_OPTIONS, *way])
    if headers := credentials.headers():
        client.register_plugin(_Headers(headers))
    return client


class _Headers(grpc_client.InferenceServerClientPlugin):  # type: ignore[misc]  # untyped
    """Adds headers to every request."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: Any) -> None:  # noqa: ANN401  # untyped
        request.headers.update(self._headers)
