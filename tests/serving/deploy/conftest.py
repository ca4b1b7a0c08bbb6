"""The wheel's server, started by the very command of `compose.yaml`."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.serving.address import Address
from cocon.serving.installation import find_installation
from cocon.serving.processes import ProcessIdentity, end_group
from tests.serving.conftest import write_encoder

FILES = Path(__file__).resolve().parents[3] / "serving" / "deploy"
KEY_OF_OPERATOR = "0123456789abcdef" * 4


@dataclass(frozen=True, slots=True)
class Deployed:
    """A server as the deployment files start it.

    Attributes:
        url: Of its gRPC port.
        metrics_url: Of its metrics.
        address: Where it listens.
    """

    url: str
    metrics_url: str
    address: Address


def installed(name: str) -> str:
    """A program that came with a package into this environment."""
    return str(Path(sys.executable).with_name(name))


def run(*command: str | Path, cwd: Path = FILES) -> str:
    """Run a tool to its end; what it says is in the error if it is not content."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def documents(path: Path) -> list[Any]:
    """All documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def composed_command() -> list[str]:
    """What compose runs in the server's container."""
    (compose,) = documents(FILES / "compose.yaml")
    return [str(part) for part in compose["services"]["server"]["command"]]


@pytest.fixture(scope="session")
def deployed(can_serve: None, weight: NDArray[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    write_encoder(folder / "models", "cocon_rgb", weight)
    address, installation = Address.on_free_ports(), find_installation(folder / "models")
    here = {
        "tritonserver": str(installation.binary),
        "--model-repository=/models": f"--model-repository={folder / 'models'}",
        "--grpc-address=0.0.0.0": "--grpc-address=127.0.0.1",
        "--grpc-port=8001": f"--grpc-port={address.grpc_port}",
        "--metrics-address=0.0.0.0": "--metrics-address=127.0.0.1",
        "--metrics-port=8002": f"--metrics-port={address.metrics_port}",
        "--exit-timeout-secs=50": "--exit-timeout-secs=2",
    }
    command = [
        here.pop(part, part.partition("${")[0] + KEY_OF_OPERATOR if "${" in part else part)
        for part in composed_command()
    ]
    assert here == {}, "compose.yaml no longer says this"
    if installation.backend_directory is not None:
        command.append(f"--backend-directory={installation.backend_directory}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=dict(installation.environment), stdout=log, stderr=log, cwd="/", start_new_session=True
        )
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    try:
        _wait_until_ready(address.url, process, folder / "log")
        yield Deployed(address.url, f"http://127.0.0.1:{address.metrics_port}/metrics", address)
    finally:
        end_group(identity, timeout_s=10)
        process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 300
    with InferenceServerClient(url) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.is_server_ready():
                    return
            except InferenceServerException:
                pass
            time.sleep(0.1)
    pytest.fail(log.read_text(errors="replace")[-3000:])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
    return port


def environment_without_proxies() -> dict[str, str]:
    """This environment, for a program that shall ask nobody but this machine."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def fetched(url: str) -> str:
    """What an address of this machine answers."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text
