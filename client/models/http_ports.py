"""What answers where no gRPC is spoken: the HTTP or the metrics port of a server, or another server altogether."""

from http.client import HTTPConnection, HTTPException

from cocon.client.models.target import Target
from cocon.core.hosts import with_port
from cocon.embedding.server_ports import grpc_port_beside

__all__ = ["told_by_http"]

_TIMEOUT_S = 2.0
_LONGEST_ANSWER = 2**16


def told_by_http(target: Target) -> str | None:
    """What answers there over HTTP, and which port to name instead; None where nothing does.

    Asked directly, without a proxy.
    """
    if not target.host:
        return None
    metadata = _answer(target, "/v2")
    if metadata is None:
        return None
    if b'"extensions"' in metadata:
        what = "the HTTP port"
    elif b"nv_" in (_answer(target, "/metrics") or b""):
        what = "the metrics port"
    else:
        return f"what answers at {target.name} speaks HTTP and is no Triton; name the host and the gRPC port of one"
    port = grpc_port_beside(target.port, is_here=target.is_here)
    if port is None:
        return f"{target.name} is {what} of a Triton; name its gRPC port, which 'cocon serve' printed"
    return f"{target.name} is {what} of a Triton; use its gRPC port: --url {with_port(target.host, port)}"


def _answer(target: Target, path: str) -> bytes | None:
    connection = HTTPConnection(target.host, target.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(_LONGEST_ANSWER)
    except (OSError, HTTPException, ValueError):  # ValueError: a host that cannot be one
        return None
    finally:
        connection.close()
