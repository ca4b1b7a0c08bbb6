"""A job of a real client at a real, supervised server, and what is done to them while it runs.

with served(repository, address):
    report = run_disturbed(videos, output, address, ["kill worker", "restart server", "kill job"])
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.client import VideoEmbedder
from cocon.serving.address import Address
from cocon.serving.record import ServerRecord

__all__ = ["DISTURBANCES", "Disturbed", "check_rows", "read_rows", "run_disturbed", "served"]

_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A job that came to its end.

    Attributes:
        exit_code: Of its last process.
        num_disturbances: That were made before it ended.
        num_waits: How often it said that it waits for the server.
        stderr: What its processes said.
    """

    exit_code: int
    num_disturbances: int
    num_waits: int
    stderr: str


@contextmanager
def served(repository: Path, address: Address) -> Iterator[None]:
    """A supervised server in the background."""
    _serve(repository, address)
    try:
        yield
    finally:
        _stop(address)


def run_disturbed(
    videos: Path, output: Path, repository: Path, address: Address, disturbances: Sequence[str]
) -> Disturbed:
    """Embed a folder, and disturb that at as many moments, each when some more videos are finished."""
    share = max(1, sum(1 for _ in videos.iterdir()) // (4 * len(disturbances)))
    journal, log = output.with_name(f"{output.name}.partial"), output.with_suffix(".stderr")
    job, num_done, at = _begin(videos, output, address, log), 0, share
    for disturbance in disturbances:
        if not _wait_until(lambda at=at: _num_finished(journal) >= at, job):
            break
        if disturbance == "kill job":
            job.send_signal(signal.SIGKILL)
            job.wait()
            job = _begin(videos, output, address, log)
        else:
            DISTURBANCES[disturbance](repository, address)
        num_done, at = num_done + 1, _num_finished(journal) + share
    exit_code = job.wait(timeout=_LIMIT_S)
    stderr = log.read_text()
    return Disturbed(exit_code, num_done, stderr.count("waiting for server"), stderr)


def read_rows(output: Path) -> list[tuple[str, int, list[float]]]:
    """Video, clip and embedding of every row, whatever the format."""
    match output.suffix:
        case ".parquet":
            rows = pyarrow.parquet.read_table(output).to_pylist()
        case ".npz":
            with np.load(output, allow_pickle=False) as arrays:
                names = ("video", "clip", "embedding")
                rows = [dict(zip(names, row, strict=True)) for row in zip(*map(arrays.get, names), strict=True)]
        case ".json":
            rows = json.loads(output.read_text())
        case _:
            rows = list(map(json.loads, output.read_text().splitlines()))
    return [(str(row["video"]), int(row["clip"]), list(map(float, row["embedding"]))) for row in rows]


def check_rows(output: Path, paths: Sequence[Path], embedder: VideoEmbedder) -> int:
    """See that a file has every row once, in order, and each the right one; gives how many there are."""
    found, expected = read_rows(output), [row for path in paths for row in embedder.embed(path).rows()]
    assert [row[:2] for row in found] == [(str(row["video"]), row["clip"]) for row in expected]
    vectors = np.array([row["embedding"] for row in expected])
    np.testing.assert_allclose(np.array([row[2] for row in found]), vectors, atol=1e-5)
    return len(found)


def _serve(repository: Path, address: Address) -> None:
    """Start it; once more if the wheel's server gave up on a worker that a busy machine let wait for a second."""
    ports = (f"--grpc-port={address.grpc_port}", f"--metrics-port={address.metrics_port}")
    command = (repository, "--detach", *ports, "--probe-interval-s=1", "--probe-timeout-s=10")
    for _ in range(3):
        if _cocon(*command) == 0:
            return
    raise AssertionError("the server does not start")


def _stop(address: Address) -> None:
    assert _cocon("--stop", f"--grpc-port={address.grpc_port}") == 0


def _cocon(*arguments: str | Path) -> int:
    command = [sys.executable, "-c", "from cocon.core.command import main; main()", "serve", *arguments]
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=_LIMIT_S).returncode


def _begin(videos: Path, output: Path, address: Address, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "cocon.client", "embed", videos, "--output", output, "--url", address.url, "-q"]
    command.append(f"--deadline-s={_LIMIT_S:g}")  # given, it makes a job wait for a server that is away when it begins
    with log.open("ab") as stderr:
        return subprocess.Popen(command, stderr=stderr, cwd=output.parent, env={**os.environ, "COCON_LOG": "text"})


def _num_finished(journal: Path) -> int:
    with suppress(FileNotFoundError):
        return journal.read_bytes().count(b'\n{"finished"')
    return 0


def _wait_until(condition: Callable[[], bool], job: "subprocess.Popen[bytes]") -> bool:
    """Whether it came to hold before the job ended."""
    deadline_s = time.monotonic() + _LIMIT_S
    while not condition():
        if job.poll() is not None:
            return False
        assert time.monotonic() < deadline_s, "the job stands still"
        time.sleep(0.01)
    return True


def _kill_worker(repository: Path, address: Address) -> None:
    """As the system does where memory is short."""
    _running(address)[1].kill()


def _kill_server(repository: Path, address: Address) -> None:
    _running(address)[0].kill()


def _restart_server(repository: Path, address: Address) -> None:
    """As an operator does."""
    _running(address)
    _stop(address)
    _serve(repository, address)


def _running(address: Address) -> tuple[psutil.Process, psutil.Process]:
    """The server's process and that of its worker, once the model is ready: what is still loading is not disturbed."""
    deadline_s = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline_s:
        record = ServerRecord.load(address.grpc_port)
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(record.process.pid) if record is not None else None
            workers = list(filter(_is_worker, server.children())) if server is not None else []
            if server is not None and workers and _is_ready(address):
                return server, workers[0]
        time.sleep(0.05)
    raise AssertionError("no server runs")


def _is_ready(address: Address) -> bool:
    with InferenceServerClient(address.url) as client, suppress(InferenceServerException):
        return bool(client.is_model_ready("cocon_rgb", client_timeout=5))
    return False


def _is_worker(process: psutil.Process) -> bool:
    """Whether a process serves a model; not if it has ended, which a server takes no notice of."""
    try:
        return any("/cocon_" in argument for argument in process.cmdline())
    except psutil.NoSuchProcess:
        return False


DISTURBANCES: dict[str, Callable[[Path, Address], None]] = {
    "kill worker": _kill_worker,
    "kill server": _kill_server,
    "restart server": _restart_server,
}
