"""What a `tritonserver` is started with: a command, of the flags that this project needs and no others."""

from collections.abc import Mapping
from pathlib import Path

from cocon.embedding.server_keys import ServerKey
from cocon.serving.address import Address
from cocon.serving.installation import Installation

__all__ = ["EXIT_TIMEOUT_S", "server_command", "shared_memory_prefix"]

EXIT_TIMEOUT_S = 5
"""How long requests in flight get at shutdown, in seconds; then Triton leaves."""

_NO_HTTP = {"allow-http": "false"}


def server_command(
    installation: Installation, repository: Path, address: Address, keys: Mapping[ServerKey, str]
) -> list[str]:
    """The command of a server.

    Args:
        installation: Of the server.
        repository: Its model repository, in a form that it takes.
        address: Where it is to listen.
        keys: What unlocks the verbs that are closed to strangers.
    """
    options = _options(repository, address)
    if installation.backend_directory is not None:
        options["backend-directory"] = str(installation.backend_directory)
    arguments = [f"--{name}={value}" for name, value in options.items()]
    arguments += _restrictions(keys, over_http=address.http_port is not None)
    if installation.backend_directory is not None:
        for backend in installation.backend_directory.iterdir():
            prefix = shared_memory_prefix(address)
            arguments.append(f"--backend-config={backend.name},shm-region-prefix-name={prefix}")
    # Auto-completion would silently set a maximum batch size of 4 where config.pbtxt is incomplete.
    return [str(installation.binary), *arguments, "--disable-auto-complete-config"]


def shared_memory_prefix(address: Address) -> str:
    """How the names of the files begin in which a server shares memory with its own workers."""
    return f"cocon-{address.grpc_port}-"


def _options(repository: Path, address: Address) -> dict[str, str]:
    interface = address.interface
    # Its HTTP server reads an IPv6 address as another one unless it is told, and its gRPC server wants brackets.
    over_http = f"ipv6:{interface}" if ":" in interface else interface
    http = {"http-address": over_http, "http-port": str(address.http_port)}
    return {
        "model-repository": str(repository),
        # All are loaded at the start; after that, the operator loads and unloads them.
        "model-control-mode": "explicit",
        "load-model": "*",
        "grpc-address": f"[{interface}]" if ":" in interface else interface,
        "grpc-port": str(address.grpc_port),
        **(_NO_HTTP if address.http_port is None else http),
        "metrics-address": over_http,
        "metrics-port": str(address.metrics_port),
        # A model that fails must not end the server: it is asked for the reason.
        "exit-on-error": "false",
        "strict-readiness": "true",
        "exit-timeout-secs": str(EXIT_TIMEOUT_S),
    }


def _restrictions(keys: Mapping[ServerKey, str], *, over_http: bool) -> list[str]:
    flags = ["grpc-restricted-protocol", *(["http-restricted-api"] if over_http else [])]
    return [f"--{flag}={','.join(kind.verbs)}:{kind.name}={key}" for flag in flags for kind, key in keys.items()]
