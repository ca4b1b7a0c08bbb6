"""`cocon serve` from the outside: what it prints, its exit codes, and that nothing is left behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cocon.embedding.server_ports import record_path
from cocon.serving.address import Address
from cocon.serving.processes import ProcessIdentity, group_members
from tests.certificates import Pki

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.triton


def server_processes(caller: "subprocess.Popen[str]") -> list[ProcessIdentity]:
    """The server that a running `cocon serve` has started, and its workers."""
    leaders = [ProcessIdentity.of(child.pid) for child in psutil.Process(caller.pid).children()]
    return [member for leader in leaders if leader is not None for member in group_members(leader)]


def wait_until_ready(caller: "subprocess.Popen[str]") -> dict[str, object]:
    assert caller.stdout is not None
    line = caller.stdout.readline()
    assert line, caller.communicate()[1]
    ready: dict[str, object] = json.loads(line)
    return ready


def assert_gone(processes: list[ProcessIdentity], *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [process for process in processes if process.is_alive()] == []


@pytest.mark.parametrize(("signal_number", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_foreground_ends_cleanly_on_a_signal(
    start: Start, repository: Path, ports: list[str], signal_number: signal.Signals, exit_code: int
) -> None:
    caller = start(repository, *ports, "--json")
    assert wait_until_ready(caller)["models"] == [
        {
            "model": "cocon_rgb",
            "version": "1",
            "state": "READY",
            "backend": "onnxruntime",
            "reason": "",
            "newer_on_disk": [],
        }
    ]
    processes = server_processes(caller)
    assert len(processes) == 2  # the server and one worker
    caller.send_signal(signal_number)
    assert caller.wait(timeout=300) == exit_code
    assert [process for process in processes if process.is_alive()] == []


def test_server_ends_when_its_caller_is_killed(start: Start, repository: Path, ports: list[str]) -> None:
    caller = start(repository, *ports, "--json")
    wait_until_ready(caller)
    processes = server_processes(caller)
    caller.kill()
    caller.wait()
    assert_gone(processes)


def test_a_crashed_server_is_an_error_and_its_workers_are_ended(
    start: Start, repository: Path, ports: list[str]
) -> None:
    caller = start(repository, *ports, "--json", "--no-supervise")
    wait_until_ready(caller)
    processes = server_processes(caller)
    processes[0].send(signal.SIGKILL)
    assert caller.wait(timeout=300) == 4
    assert caller.stderr is not None
    assert "tritonserver ended by itself" in caller.stderr.read()
    assert_gone(processes)
    port = ports[0].partition("=")[2]
    assert list(Path("/dev/shm").glob(f"cocon-{port}-*")) == []


def test_detach_status_stop(cli: Cli, repository: Path, ports: list[str]) -> None:
    try:
        started = cli(repository, "--detach", *ports)
        assert started.returncode == 0, started.stderr
        assert started.stdout.startswith(f"serving {repository}")
        assert "cocon_rgb" in started.stdout and "READY" in started.stdout

        (repository / ".writer.lock").write_text("")  # an export that found nothing new
        again = cli(repository, "--detach", *ports)
        assert again.returncode == 0
        assert again.stdout.startswith(f"already serving {repository}")

        other = cli(repository.parent, "--detach", *ports)
        assert other.returncode == 4
        assert f"serves {repository}; end it with: cocon serve --stop" in other.stderr

        status = cli("--status", "--json", *ports)
        assert [model["state"] for model in json.loads(status.stdout)["models"]] == ["READY"]
    finally:
        stopped = cli("--stop", *ports)
    assert stopped.stdout.startswith(f"stopped the server of {repository}")
    again = cli("--stop", *ports)
    assert (again.returncode, again.stdout[:30]) == (0, "no server in the background on")
    status = cli("--status", *ports)
    assert status.returncode == 4
    assert "start one with: cocon serve --detach" in status.stderr


@pytest.mark.parametrize(("host", "interface"), [("::1", "::1"), ("localhost", "127.0.0.1")])
def test_all_three_ports_listen_on_the_named_host_and_no_proxy_is_asked(
    cli: Cli, repository: Path, ports: list[str], host: str, interface: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    try:
        http_port = Address.on_free_ports(http=True).http_port
        started = cli(repository, "--detach", "--host", host, *ports, "--http", f"--http-port={http_port}")
        assert started.returncode == 0, started.stderr
        for port in [*ports, f"--http-port={http_port}"]:
            socket.create_connection((interface, int(port.partition("=")[2]))).close()
        status = cli("--status", "--json", *ports)
        assert [model["state"] for model in json.loads(status.stdout)["models"]] == ["READY"]
    finally:
        assert cli("--stop", *ports).returncode == 0


def test_a_changed_repository_is_served_anew(cli: Cli, repository: Path, ports: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "model_repository"
    shutil.copytree(repository, copy)
    try:
        cli(copy, "--detach", *ports)
        shutil.copytree(copy / "cocon_rgb" / "1", copy / "cocon_rgb" / "2")
        renewed = cli(copy, "--detach", "--json", *ports)
        assert "has changed since its server was started" in renewed.stderr
        assert [model["version"] for model in json.loads(renewed.stdout)["models"]] == ["2"]
    finally:
        cli("--stop", *ports)


def test_stop_leaves_a_recycled_pid_alone(cli: Cli, start: Start, ports: list[str]) -> None:
    """The record names this test's own pid with another start time."""
    port = int(ports[0].partition("=")[2])
    folder = Path(os.environ["XDG_STATE_HOME"]) / "cocon"
    folder.mkdir(exist_ok=True)
    record = {
        "process": {"pid": os.getpid(), "start_ticks": 1},
        "address": {"host": "127.0.0.1", "grpc_port": port, "http_port": 1, "metrics_port": 2},
        "repository": "/models",
        "digest": "",
        "log": "/log",
    }
    (folder / f"serve-{port}.json").write_text(json.dumps(record), encoding="utf-8")
    assert cli("--status", *ports).returncode == 4
    assert cli("--stop", *ports).returncode == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"process": {}}', "\udcff"])
def test_a_damaged_record_is_one_line_and_the_port_is_free_again(cli: Cli, ports: list[str], content: str) -> None:
    record = record_path(ports[0].partition("=")[2])
    record.parent.mkdir(exist_ok=True)
    record.write_text(content, encoding="utf-8", errors="surrogateescape")
    status = cli("--status", *ports)
    assert (status.returncode, status.stderr.count("\n")) == (4, 1)
    assert "is damaged; end the server with: cocon serve --stop" in status.stderr
    assert cli("--stop", *ports).returncode == 0
    assert not record.exists()


def test_a_server_whose_record_is_damaged_can_be_stopped(cli: Cli, repository: Path, ports: list[str]) -> None:
    started = cli(repository, "--detach", "--no-supervise", *ports)
    assert started.returncode == 0, started.stderr
    record = record_path(ports[0].partition("=")[2])
    server = ProcessIdentity(**json.loads(record.read_text())["process"])
    processes = group_members(server)
    record.write_text("{")
    again = cli(repository, "--detach", *ports)
    assert again.returncode == 4 and "is damaged" in again.stderr
    assert cli("--stop", *ports).stdout.startswith(f"stopped the server of {repository}")
    assert_gone(processes)


def test_port_in_use(cli: Cli, repository: Path, ports: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli(repository, *ports, "--http", f"--http-port={port}")
    assert result.returncode == 4
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in result.stderr
    assert "--http-port" in result.stderr


def test_missing_and_empty_repositories(cli: Cli, tmp_path: Path) -> None:
    missing = cli(tmp_path / "nowhere")
    assert missing.returncode == 2
    assert missing.stderr == (
        f"error: model repository '{tmp_path / 'nowhere'}' does not exist or is no folder; "
        "make one with 'cocon export'\n"
    )
    assert cli(tmp_path).returncode == 2


def test_a_broken_model_is_named_with_the_reason(cli: Cli, repository: Path, ports: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "model_repository"
    shutil.copytree(repository, copy)
    (copy / "cocon_rgb" / "1" / "model.onnx").write_bytes(b"garbage")
    result = cli(copy, "--detach", *ports)
    assert result.returncode == 2
    assert result.stderr.startswith("error: model 'cocon_rgb' does not load: ")
    assert "INVALID_PROTOBUF" in result.stderr
    assert result.stderr.count("\n") == 1
    assert cli("--status", *ports).returncode == 4


def test_models_that_are_not_ready_in_time(cli: Cli, repository: Path, ports: list[str]) -> None:
    result = cli(repository, "--detach", "--timeout-s=0", *ports)
    assert result.returncode == 4
    assert "not READY within 0 s" in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_do_not_get_in_by_mistake(cli: Cli, repository: Path, pki: Pki, host: str) -> None:
    plain = cli(repository, f"--host={host}")
    assert plain.returncode == 2
    assert "add --tls-cert and --tls-key, or say --insecure" in plain.stderr
    if shutil.which("tritonserver"):
        pytest.skip("only the server of nvidia-pytriton is restricted")
    tls = ["--tls-cert", pki.file("server.pem"), "--tls-key", pki.file("server.key")]
    strangers = cli(repository, f"--host={host}", *tls)
    assert strangers.returncode == 2
    assert "is old and has published vulnerabilities, so strangers must not reach it" in strangers.stderr
    assert strangers.stderr.count("\n") == 1


def test_actions_exclude_each_other(cli: Cli) -> None:
    assert cli("--stop", "--status").returncode == 2
