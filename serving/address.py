"""Where a server listens."""

import errno
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from cocon.core.errors import ServerError
from cocon.core.hosts import is_loopback, numeric_address, with_port
from cocon.embedding.server_ports import GRPC_PORT, METRICS_PORT

__all__ = ["Address"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Address of the interface, for all ports.
        grpc_port: The protocol our client speaks.
        http_port: The same protocol over HTTP; None where it is not spoken.
        metrics_port: Prometheus metrics.
    """

    host: str = "127.0.0.1"
    grpc_port: int = GRPC_PORT
    http_port: int | None = None
    metrics_port: int = METRICS_PORT

    @classmethod
    def on_free_ports(cls, host: str = "127.0.0.1", *, http: bool = False) -> Self:
        """An address whose ports nobody uses at this moment; with one for HTTP on demand."""
        interface = cls(host).interface
        with ExitStack() as stack:
            sockets = [stack.enter_context(_listening(interface, 0)) for _ in range(3)]
            grpc_port, http_port, metrics_port = (bound.getsockname()[1] for bound in sockets)
        return cls(host, grpc_port, http_port if http else None, metrics_port)

    @property
    def url(self) -> str:
        """What a gRPC client connects to: `host:port`, an IPv6 address in brackets."""
        return with_port(self.host, self.grpc_port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def interface(self) -> str:
        """The host as a number: Triton understands no name, and listens on another interface instead.

        Raises:
            ServerError: The host is no name or address of a machine.
        """
        if (address := numeric_address(self.host)) is not None:
            return str(address)
        if self.is_loopback:
            return "127.0.0.1"  # where the client looks, too
        try:
            return str(socket.getaddrinfo(self.host or None, None, type=socket.SOCK_STREAM)[0][4][0])
        except (OSError, UnicodeError) as error:
            raise ServerError(
                f"--host '{self.host}' is no address of this machine: {error}; name one of its"
            ) from error

    def check_free(self) -> None:
        """Make sure that a server can listen here.

        Raises:
            ServerError: A port is in use, or the host is not of this machine.
        """
        for option, port in [("grpc", self.grpc_port), ("http", self.http_port), ("metrics", self.metrics_port)]:
            if port is None:
                continue
            try:
                _listening(self.interface, port).close()
            except OSError as error:
                remedy = f"end what uses it, or choose another with --{option}-port"
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    remedy = "name an address of this machine with --host"
                raise ServerError(
                    f"cannot listen on {with_port(self.host, port)}: {_reason(error)}; {remedy}"
                ) from error


def _reason(error: OSError) -> str:
    # Without the address, which Python appends.
    return os.strerror(error.errno) if error.errno else str(error)


def _listening(interface: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    return socket.create_server((interface, port), family=family)
