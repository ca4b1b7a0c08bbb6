"""The three ports of a server, and where `cocon serve` keeps those of the servers that it has started."""

import json
import os
from pathlib import Path

__all__ = ["GRPC_PORT", "HTTP_PORT", "METRICS_PORT", "grpc_port_beside", "record_path"]

GRPC_PORT, HTTP_PORT, METRICS_PORT = 8001, 8000, 8002


def record_path(grpc_port: int | str) -> Path:
    """The file that tells of the server in the background on a port: `$XDG_STATE_HOME/cocon/serve-<port>.json`."""
    root = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(root) / "cocon" / f"serve-{grpc_port}.json"


def grpc_port_beside(port: int, *, is_here: bool) -> int | None:
    """The gRPC port of the server whose HTTP or metrics port this is; None where nothing tells.

    Args:
        port: An HTTP or metrics port.
        is_here: Whether it is one of this machine, whose servers in the background are known.
    """
    if is_here:
        pattern = record_path("*")
        for path in sorted(pattern.parent.glob(pattern.name)):
            try:
                address = json.loads(path.read_text(encoding="utf-8"))["address"]
                if port in (address["http_port"], address["metrics_port"]):
                    return int(address["grpc_port"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not a sound record: it says nothing
    return GRPC_PORT if port in (HTTP_PORT, METRICS_PORT) else None
