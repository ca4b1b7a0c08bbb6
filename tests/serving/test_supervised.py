"""`cocon serve` with a supervisor, from the outside: what crashed comes back, and nothing is left behind."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cocon.serving.processes import ProcessIdentity, group_members
from cocon.serving.record import ServerRecord

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.triton


def wait_until(condition: Callable[[], bool], *, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def port_of(ports: list[str]) -> int:
    return int(ports[0].partition("=")[2])


def record_of(ports: list[str]) -> ServerRecord:
    record = ServerRecord.load(port_of(ports))
    assert record is not None
    return record


def state_files(ports: list[str]) -> set[str]:
    folder = Path(os.environ["XDG_STATE_HOME"]) / "cocon"
    stem = f"serve-{port_of(ports)}"
    return {path.name.removeprefix(stem) for path in folder.glob(f"{stem}*") if "crash" not in path.name}


def test_a_server_in_the_background_comes_back_and_all_of_it_can_be_stopped(
    cli: Cli, repository: Path, ports: list[str]
) -> None:
    try:
        assert cli(repository, "--detach", *ports).returncode == 0
        first = record_of(ports)
        assert first.keeper is not None and first.keeper.is_alive()
        first.process.send(signal.SIGKILL)
        wait_until(lambda: record_of(ports).process != first.process)
        wait_until(lambda: cli("--status", *ports).returncode == 0)
        status = json.loads(cli("--status", "--json", *ports).stdout)
        assert status["supervised"] is True
        assert [incident["what"] for incident in status["incidents"]] == ["restarted the server"]
        assert Path(status["incidents"][0]["log"]).read_text()

        told = cli("--status", *ports).stdout
        assert "supervised" in told and "restarted the server: it ended by itself; log: " in told.replace("\n", "")
        second = record_of(ports)
        assert second.keeper == first.keeper
        left = [second.keeper, *group_members(second.process)]
        assert len(left) == 3  # with the server and its worker
    finally:
        assert cli("--stop", *ports).returncode == 0
    assert [process for process in left if process is not None and process.is_alive()] == []
    assert list(Path("/dev/shm").glob(f"cocon-{port_of(ports)}-*")) == []
    assert state_files(ports) == {".incidents.json", ".keeper.log", ".lock", ".log"}


def test_without_its_keeper_a_server_goes_on_and_its_crash_is_told(
    cli: Cli, repository: Path, ports: list[str]
) -> None:
    try:
        assert cli(repository, "--detach", *ports).returncode == 0
        record = record_of(ports)
        assert record.keeper is not None
        record.keeper.send(signal.SIGKILL)
        wait_until(lambda: not record.is_kept())
        assert "not supervised" in cli("--status", *ports).stdout

        again = cli(repository, "--detach", *ports)
        assert again.returncode == 0 and again.stdout.startswith("already serving")
        kept = record_of(ports)
        assert kept.process == record.process and kept.is_kept() and kept.keeper is not None
        kept.keeper.send(signal.SIGKILL)
        wait_until(lambda: not kept.is_kept())

        record.process.send(signal.SIGKILL)
        wait_until(lambda: not record.process.is_alive())
        status = cli("--status", *ports)
        assert status.returncode == 4
        assert (
            f"error: the server on port {port_of(ports)} crashed; log: {record.log}; start it with: " in status.stderr
        )

        renewed = cli(repository, "--detach", *ports)
        assert renewed.returncode == 0 and renewed.stdout.startswith("serving")
        assert len(list(record.log.parent.glob(f"{record.log.stem}.crash-*.log"))) == 1
    finally:
        cli("--stop", *ports)


def test_a_server_that_works_is_not_ended_for_one_that_cannot_start(
    cli: Cli, repository: Path, ports: list[str]
) -> None:
    try:
        assert cli(repository, "--detach", *ports).returncode == 0
        record = record_of(ports)
        incidents = record.log.with_suffix(".incidents.json")
        incidents.write_text("[]")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            refused = cli(repository, "--detach", *ports, "--http", f"--http-port={taken.getsockname()[1]}")
        assert refused.returncode == 4 and "cannot listen on" in refused.stderr
        refused = cli(repository, "--detach", *ports, "--host=192.0.2.1", "--insecure")
        assert refused.returncode == 4 and "name an address of this machine with --host" in refused.stderr
        assert record_of(ports) == record and record.process.is_alive() and record.is_kept()
        assert incidents.exists()
    finally:
        cli("--stop", *ports)


def test_a_server_in_the_foreground_comes_back_and_ends_with_its_caller(
    start: Start, repository: Path, ports: list[str]
) -> None:
    caller = start(repository, *ports, "--json")
    assert caller.stdout is not None and json.loads(caller.stdout.readline())["models"]
    log = Path(os.environ["XDG_STATE_HOME"]) / "cocon" / f"serve-{port_of(ports)}.log"
    first = log.stat().st_ino
    (server,) = children(caller)
    server.send(signal.SIGKILL)
    wait_until(lambda: log.exists() and log.stat().st_ino != first and "Started GRPC" in log.read_text())
    processes = [member for leader in children(caller) for member in group_members(leader)]
    assert len(processes) == 2 and server not in processes
    caller.send_signal(signal.SIGTERM)
    assert caller.wait(timeout=120) == 0
    assert [process for process in processes if process.is_alive()] == []
    assert caller.stderr is not None
    assert "restarted the server: it ended by itself; log: " in caller.stderr.read()


def children(caller: "subprocess.Popen[str]") -> list[ProcessIdentity]:
    found = (ProcessIdentity.of(child.pid) for child in psutil.Process(caller.pid).children())
    return [child for child in found if child is not None]
