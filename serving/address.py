"""Where a server listens."""

import ipaddress
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from cocon.core.errors import ServerError

__all__ = ["Address"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Address of the interface, for all three.
        grpc_port: The protocol our client speaks.
        http_port: The same protocol over HTTP.
        metrics_port: Prometheus metrics.
    """

    host: str = "127.0.0.1"
    grpc_port: int = 8001
    http_port: int = 8000
    metrics_port: int = 8002

    @classmethod
    def on_free_ports(cls, host: str = "127.0.0.1") -> Self:
        """An address whose three ports nobody uses at this moment."""
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server((host, 0))) for _ in range(3)]
            return cls(host, *(bound.getsockname()[1] for bound in sockets))

    @property
    def url(self) -> str:
        """What a gRPC client connects to: `host:port`."""
        return f"{self.host}:{self.grpc_port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check_free(self) -> None:
        """Make sure that a server can listen here.

        Raises:
            ServerError: A port is in use, or the host is not of this machine.
        """
        for option, port in [("grpc", self.grpc_port), ("http", self.http_port), ("metrics", self.metrics_port)]:
            try:
                socket.create_server((self.host, port)).close()
            except OSError as error:
                remedy = f"end what uses it, or choose another with --{option}-port"
                raise ServerError(f"cannot listen on {self.host}:{port}: {error.strerror}; {remedy}") from error
