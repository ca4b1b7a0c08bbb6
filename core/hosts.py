"""Names and addresses of machines: which of them are this one, and how they are written beside a port."""

import ipaddress
import socket

__all__ = ["is_loopback", "is_this_machine", "numeric_address", "with_port"]

_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


def numeric_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as, in brackets or not; None where it is a name. Nobody is asked.

    Every form that sockets take is one, as `127.1`; an IPv4 address in the clothes of IPv6 is the IPv4 address.
    """
    try:
        # Without its zone, which not every system takes: `fe80::1%eth0`.
        found = socket.getaddrinfo(_bare(host).partition("%")[0], None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    address = ipaddress.ip_address(found[0][4][0])
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    """Whether a host is an interface that only this machine reaches."""
    name = _bare(host).rstrip(".").casefold()
    address = numeric_address(host)
    return address.is_loopback if address else name in _LOOPBACK_NAMES or name.endswith(".localhost")


def is_this_machine(host: str) -> bool:
    """Whether who asks this host asks this machine: loopback, any interface (`0.0.0.0`), or its own name."""
    address = numeric_address(host)
    if address is not None and address.is_unspecified:
        return True
    return is_loopback(host) or _bare(host).rstrip(".").casefold() == socket.gethostname().casefold()


def with_port(host: str, port: int) -> str:
    """`host:port`; an IPv6 address in brackets."""
    bare = _bare(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
