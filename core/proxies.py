"""Which proxy stands between this process and a server, by the environment variables that gRPC goes by.

gRPC takes them for every host, this machine included, where a proxy can only be in the way. Elsewhere they stay in use.
"""

import os
import re
from dataclasses import dataclass
from ipaddress import ip_network

from cocon.core.hosts import is_this_machine, numeric_address, with_port

__all__ = ["DIRECT", "Proxy", "proxy_for", "without_credentials"]

# For a gRPC channel: neither a proxy of `_VARIABLES` nor one of GRPC_ADDRESS_HTTP_PROXY.
DIRECT: tuple[tuple[str, int | str], ...] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.address_http_proxy_enabled_addresses", ""),
)

# Those that gRPC reads, in its order; the first that says something counts.
_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXEMPTING = ("no_grpc_proxy", "no_proxy", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        variable: Of the environment, that names it.
        url: Its value, without a password.
    """

    variable: str
    url: str

    @property
    def is_usable(self) -> bool:
        """Whether gRPC can go through it; it passes over others."""
        return self.url.lower().startswith("http://")


def proxy_for(host: str, port: int) -> Proxy | None:
    """The proxy that the environment names for a host; None for this machine and for those that `no_proxy` names."""
    if is_this_machine(host) or any(_names(os.environ.get(variable, ""), host, port) for variable in _EXEMPTING):
        return None
    for variable in _VARIABLES:
        if value := os.environ.get(variable):
            return Proxy(variable, without_credentials(value))
    return None


def without_credentials(url: str) -> str:
    """A URL with `***` in the place of user and password."""
    return re.sub(r"^([a-z][a-z0-9+.-]*://)?.*@", r"\1***@", url, count=1, flags=re.IGNORECASE | re.DOTALL)


def _names(exempt: str, host: str, port: int) -> bool:
    """Whether a list as of `no_proxy` names a host: by itself, its domain, its network, with its port, or `*`."""
    address = numeric_address(host)
    name = host.casefold()
    for entry in re.split(r"[\s,]+", exempt.strip().casefold()):
        if address is not None and "/" in entry and _holds(entry, address):
            return True
        # As for gRPC, an entry also names the hosts that end with it.
        ending = entry.lstrip("*.").strip("[]")
        if entry == "*" or (ending and name.endswith(ending)) or entry == with_port(name, port):
            return True
    return False


def _holds(network: str, address: object) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False
