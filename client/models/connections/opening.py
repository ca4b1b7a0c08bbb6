"""A gRPC client of a server, by TLS and with a key where those are asked for."""

from collections.abc import Sequence
from typing import Any

import grpc
import tritonclient.grpc as grpc_client

from cocon.client.models.connections.credentials import Credentials
from cocon.client.models.target import Target

__all__ = ["open_client"]


def open_client(
    target: Target, credentials: Credentials, channel_options: Sequence[tuple[str, int | str]]
) -> grpc_client.InferenceServerClient:
    """Open a client; nothing is asked yet.

    Args:
        target: The server.
        credentials: By which it is known, and who asks it.
        channel_options: Of gRPC.

    Raises:
        UsageError: The credentials are none, or not for this server.
    """
    credentials.check(target)
    tls = grpc.ssl_channel_credentials(*credentials.pem()) if target.is_tls else None
    client = grpc_client.InferenceServerClient(
        target.name, ssl=target.is_tls, creds=tls, channel_args=list(channel_options)
    )
    if headers := credentials.headers():
        client.register_plugin(_Headers(headers))
    return client


class _Headers(grpc_client.InferenceServerClientPlugin):  # type: ignore[misc]  # untyped
    """Adds headers to every request."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: Any) -> None:  # noqa: ANN401  # untyped
        request.headers.update(self._headers)
