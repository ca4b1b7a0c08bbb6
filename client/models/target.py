"""What `--url` names of a server: the forms it may have, and what to write instead of the others."""

import re
from dataclasses import dataclass
from pathlib import Path

from cocon.client.models.defaults import DEFAULT_URL
from cocon.core.errors import UsageError
from cocon.core.hosts import is_this_machine, numeric_address, with_port
from cocon.core.proxies import without_credentials
from cocon.embedding.server_ports import GRPC_PORT, grpc_port_beside

__all__ = ["Target"]

_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Target:
    """A server to connect to.

    Attributes:
        name: What gRPC connects to: `host:port`, `[address]:port` or `unix:path`.
        host: Without brackets; empty for a socket in the file system.
        port: 0 for a socket in the file system.
        is_tls: Whether it is asked by TLS.
    """

    name: str
    host: str = ""
    port: int = 0
    is_tls: bool = False

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Read `host:port`, `[IPv6]:port`, either behind `grpc://` or, for TLS, `grpcs://`, or `unix:path`.

        Raises:
            UsageError: The URL has another form; the message says what to write.
        """
        scheme, rest = _split(url)
        if scheme == "unix" and rest:
            return cls(f"unix:{rest}")
        match = re.fullmatch(r"(\[[^][/@\s]+\]|[^][:/@?#\s]+):([0-9]+)/?", rest)
        if scheme not in ("grpc", "grpcs") or match is None or not 0 < int(match[2]) <= _LAST_PORT:
            raise UsageError(
                f"--url '{without_credentials(url)}' is neither HOST:PORT, grpcs://HOST:PORT nor local:FOLDER; "
                + _remedy(scheme, rest)
            )
        host, port = match[1].strip("[]"), int(match[2])
        if match[1][0] == "[" and ":" not in host:
            raise UsageError(f"--url '{url}': '{host}' is no IPv6 address; write it without brackets")
        address = numeric_address(host)
        # gRPC knows no short forms, as 127.1.
        name = with_port(str(address) if address and ":" not in host else host, port)
        return cls(name, host, port, is_tls=scheme == "grpcs")

    @classmethod
    def parse_all(cls, urls: str) -> "tuple[Target, ...]":
        """Read one or several of them, with commas between; raises like `parse`.

        Raises:
            UsageError: One is named twice.
        """
        targets = tuple(map(cls.parse, urls.split(",")))
        for number, target in enumerate(targets):
            if target in targets[:number]:
                raise UsageError(f"--url names {target.url} twice; name each server once")
        return targets

    @property
    def url(self) -> str:
        """What `--url` names it by."""
        return f"grpcs://{self.name}" if self.is_tls else self.name

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return not self.host or is_this_machine(self.host)


def _split(url: str) -> tuple[str, str]:
    """The scheme in small letters, and what follows it; without one it is gRPC."""
    text = url.strip()
    if text[:5].lower() == "unix:":
        return "unix", re.sub("^//(?=/)", "", text[5:])
    scheme, separator, rest = text.partition("://")
    return (scheme.lower(), rest) if separator else ("grpc", text)


def _remedy(scheme: str, rest: str) -> str:
    """What to write instead."""
    server, _, path = rest.rpartition("@")[2].partition("/")
    if scheme in ("http", "https"):
        tls = "grpcs://" if scheme == "https" else ""
        return f"the client speaks gRPC, to another port than HTTP: --url {tls}{_beside_http(server)}"
    if rest and Path(rest).is_dir():
        return f"for that folder: --url local:{rest}"
    if scheme not in ("grpc", "grpcs") or not server or server.startswith("."):
        return f"such as --url {DEFAULT_URL}"
    tls = "grpcs://" if scheme == "grpcs" else ""
    if ("@" in rest or path) and re.search(":[0-9]+$", server):
        return f"there is neither a user nor a path in it: --url {tls}{server}"
    if (address := _ipv6_with_port(server)) is not None:
        return f"an IPv6 address stands in brackets, before the port: --url {tls}{address}"
    host, separator, port = server.rpartition(":")
    if not separator:
        return f"name the port too: --url {tls}{with_port(server, GRPC_PORT)}"
    if not host:
        return f"name the host too: --url {tls}127.0.0.1:{port or GRPC_PORT}"
    return f"a port is a number from 1 to {_LAST_PORT}, and a host a name or an address"


def _beside_http(server: str) -> str:
    """The gRPC address of a server that is named as for HTTP."""
    match = re.fullmatch(r"(.*):([0-9]+)", server)
    if match is None:
        return with_port(server, GRPC_PORT)
    port = int(match[2])
    return with_port(match[1], grpc_port_beside(port, is_here=is_this_machine(match[1])) or port)


def _ipv6_with_port(server: str) -> str | None:
    """An IPv6 address without brackets or without a port, with both; None where it is none."""
    address, _, port = server.rpartition(":")
    if server.count(":") > 2 and numeric_address(address) and re.fullmatch("[0-9]{4,5}", port):
        return with_port(address, int(port))
    return with_port(server, GRPC_PORT) if ":" in server and numeric_address(server) else None
