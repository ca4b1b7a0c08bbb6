"""What a `tritonserver` is started with: a command, of the flags that this project needs and those of the operator."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.embedding.server_keys import ServerKey
from cocon.serving.address import Address
from cocon.serving.installation import Installation
from cocon.serving.tls_files import TlsFiles

__all__ = ["EXIT_TIMEOUT_S", "check_flags", "server_command", "shared_memory_prefix"]

EXIT_TIMEOUT_S = 5
"""How long requests in flight get at shutdown, in seconds; then Triton leaves."""

_NO_HTTP = {"allow-http": "false"}
# What an option of ours says, which knows of more than the flag.
_OWN_OPTIONS = {
    "model-repository": "the argument REPOSITORY",
    "model-store": "the argument REPOSITORY",
    "grpc-address": "--host",
    "grpc-port": "--grpc-port",
    "allow-http": "--http",
    "http-port": "--http-port",
    "metrics-port": "--metrics-port",
    "grpc-use-ssl": "--tls-cert and --tls-key",
    "grpc-use-ssl-mutual": "--tls-ca",
    "grpc-server-cert": "--tls-cert",
    "grpc-server-key": "--tls-key",
    "grpc-root-cert": "--tls-ca",
}
# What its operator's commands need as it is.
_FIXED = ("allow-grpc", "model-control-mode", "load-model", "log-file", "backend-directory")


def check_flags(flags: Sequence[str]) -> None:
    """Refuse to pass on what would be none of Triton's flags, or would contradict an option of this project's.

    Raises:
        UsageError: It names the flag, and what to say instead.
    """
    for flag in flags:
        name = _name(flag)
        if not re.fullmatch("[a-z][a-z0-9-]*", name):
            problem = "is no flag of tritonserver's; write --NAME=VALUE"
        elif name in _OWN_OPTIONS:
            problem = f"is said by {_OWN_OPTIONS[name]}, before the '--'"
        elif name in _FIXED:
            problem = "cannot be another one; 'cocon serve' relies on it"
        else:
            continue
        raise UsageError(f"-- {printable(flag)}: {problem}")


def _name(flag: str) -> str:
    return flag.removeprefix("--").partition("=")[0] if flag.startswith("--") else ""


def server_command(
    installation: Installation,
    repository: Path,
    address: Address,
    keys: Mapping[ServerKey, str],
    flags: Sequence[str] = (),
) -> list[str]:
    """The command of a server.

    Args:
        installation: Of the server.
        repository: Its model repository, in a form that it takes.
        address: Where it is to listen.
        keys: What unlocks the verbs that are closed to strangers.
        flags: The operator's own, `--NAME=VALUE`; where one says what this project would, it is the operator's.
    """
    options = _options(repository, address)
    if installation.backend_directory is not None:
        options["backend-directory"] = str(installation.backend_directory)
    given = set(map(_name, flags))
    arguments = [f"--{name}={value}" for name, value in options.items() if name not in given]
    arguments += _restrictions(keys, over_http=address.http_port is not None)
    if installation.backend_directory is not None:
        for backend in installation.backend_directory.iterdir():
            prefix = shared_memory_prefix(address)
            arguments.append(f"--backend-config={backend.name},shm-region-prefix-name={prefix}")
    # Auto-completion would silently set a maximum batch size of 4 where config.pbtxt is incomplete.
    return [str(installation.binary), *arguments, "--disable-auto-complete-config", *flags]


def shared_memory_prefix(address: Address) -> str:
    """How the names of the files begin in which a server shares memory with its own workers."""
    return f"cocon-{address.grpc_port}-"


def _options(repository: Path, address: Address) -> dict[str, str]:
    interface = address.interface
    # Its HTTP server reads an IPv6 address as another one unless it is told, and its gRPC server wants brackets.
    over_http = f"ipv6:{address.plain_interface}" if ":" in interface else address.plain_interface
    http = {"http-address": over_http, "http-port": str(address.http_port)}
    return {
        "model-repository": str(repository),
        # All are loaded at the start; after that, the operator loads and unloads them.
        "model-control-mode": "explicit",
        "load-model": "*",
        "grpc-address": f"[{interface}]" if ":" in interface else interface,
        "grpc-port": str(address.grpc_port),
        **_tls(address.tls),
        **(_NO_HTTP if address.http_port is None else http),
        "metrics-address": over_http,
        "metrics-port": str(address.metrics_port),
        # A model that fails must not end the server: it is asked for the reason.
        "exit-on-error": "false",
        "strict-readiness": "true",
        "exit-timeout-secs": str(EXIT_TIMEOUT_S),
    }


def _tls(files: TlsFiles | None) -> dict[str, str]:
    if files is None:
        return {}
    asked = {"grpc-use-ssl-mutual": "true", "grpc-root-cert": files.ca} if files.ca else {}
    return {"grpc-use-ssl": "true", "grpc-server-cert": files.certificate, "grpc-server-key": files.key, **asked}


def _restrictions(keys: Mapping[ServerKey, str], *, over_http: bool) -> list[str]:
    flags = ["grpc-restricted-protocol", *(["http-restricted-api"] if over_http else [])]
    return [f"--{flag}={','.join(kind.verbs)}:{kind.name}={key}" for flag in flags for kind, key in keys.items()]
