"""Where a server listens."""

import errno
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from cocon.core.errors import ServerError, UsageError
from cocon.core.hosts import is_loopback, numeric_address, with_port
from cocon.embedding.server_ports import GRPC_PORT, METRICS_PORT
from cocon.serving.tls_files import TlsFiles

__all__ = ["Address"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Address of the interface, for all ports.
        grpc_port: The protocol our client speaks.
        http_port: The same protocol over HTTP; None where it is not spoken.
        metrics_port: Prometheus metrics.
        tls: What is shown to clients of gRPC, and asked of them; None where nothing is encrypted.
        is_insecure: Whether who listens in, and anybody who asks, has been thought of: `--insecure`.
    """

    host: str = "127.0.0.1"
    grpc_port: int = GRPC_PORT
    http_port: int | None = None
    metrics_port: int = METRICS_PORT
    tls: TlsFiles | None = None
    is_insecure: bool = False

    @classmethod
    def on_free_ports(cls, host: str = "127.0.0.1", *, http: bool = False) -> Self:
        """An address whose ports nobody uses at this moment; with one for HTTP on demand."""
        interface = cls(host).interface
        with ExitStack() as stack:
            sockets = [stack.enter_context(_listening(interface, 0)) for _ in range(3)]
            grpc_port, http_port, metrics_port = (bound.getsockname()[1] for bound in sockets)
        return cls(host, grpc_port, http_port if http else None, metrics_port)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """An address from its fields, as `dataclasses.asdict` gives them."""
        tls = fields.get("tls")
        return cls(**{**fields, "tls": TlsFiles(**tls) if tls else None})

    @property
    def url(self) -> str:
        """What a gRPC client connects to: `host:port`, an IPv6 address in brackets."""
        return with_port(self.host, self.grpc_port)

    @property
    def named_url(self) -> str:
        """What our client takes for `--url`: with `grpcs://` where TLS is spoken."""
        return f"grpcs://{self.url}" if self.tls else self.url

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

    @property
    def plain_interface(self) -> str:
        """Where HTTP and the metrics are, which Triton never encrypts: on this machine alone, unless `is_insecure`."""
        interface = self.interface
        if self.is_loopback or self.is_insecure:
            return interface
        return "::1" if ":" in interface else "127.0.0.1"

    def check_reach(self) -> None:
        """Refuse to be reached by other machines without TLS.

        Raises:
            UsageError: The host is not of this machine alone, and nobody has said `--insecure`.
        """
        if not (self.is_loopback or self.tls or self.is_insecure):
            rule = "other machines reach it, and without TLS who listens in sees every video"
            raise UsageError(f"--host {self.host}: {rule}; add --tls-cert and --tls-key, or say --insecure")

    def check_free(self, replaced: "Address | None" = None) -> None:
        """Make sure that a server can listen here.

        Args:
            replaced: Of a server that is to end first: its ports are free then.

        Raises:
            ServerError: A port is in use, or the host is not of this machine.
        """
        plain, encrypted = self.plain_interface, self.interface
        ports = [("grpc", encrypted, self.grpc_port), ("metrics", plain, self.metrics_port)]
        if self.http_port is not None:
            ports.append(("http", plain, self.http_port))
        held = {replaced.grpc_port, replaced.http_port, replaced.metrics_port} if replaced else set()
        for option, interface, port in ports:
            try:
                _listening(interface, 0 if port in held else port).close()
            except OSError as error:
                remedy = f"end what uses it, or choose another with --{option}-port"
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    remedy = "name an address of this machine with --host"
                raise ServerError(
                    f"cannot listen on {with_port(interface, port)}: {_reason(error)}; {remedy}"
                ) from error


def _reason(error: OSError) -> str:
    # Without the address, which Python appends.
    return os.strerror(error.errno) if error.errno else str(error)


def _listening(interface: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    return socket.create_server((interface, port), family=family)
