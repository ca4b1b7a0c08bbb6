"""A worker that is lost while its model loads: the model is loaded once more before anybody is told."""

import time
from pathlib import Path

import psutil
import pytest

from cocon.core.errors import ServerError
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess

pytestmark = pytest.mark.triton


def kill_loading_worker(server: ServerProcess) -> None:
    """Kill the first worker that imports ONNX Runtime: it has reported to the server, and has not loaded its model."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in psutil.Process(server.identity.pid).children():
            try:
                if any("onnxruntime" in region.path for region in child.memory_maps()):
                    return child.kill()
            except psutil.Error:
                continue
        time.sleep(0.01)
    raise AssertionError("no worker")


def test_a_model_whose_worker_is_lost_while_it_loads_is_loaded_again(
    repository: Path, tmp_path: Path, can_serve: None
) -> None:
    for number in range(5):
        server = ServerProcess(repository, Address.on_free_ports(), log=tmp_path / f"{number}.log", timeout_s=600)
        server.start()
        try:
            kill_loading_worker(server)
            states = server.wait_until_ready()
        except ServerError:
            deadline = time.monotonic() + 30
            while server.is_alive() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not server.is_alive()  # the worker held a lock of Triton's, which aborts then
            continue
        finally:
            server.stop()
        assert [state.state for state in states] == ["READY"]
        assert "is not healthy" in server.log.read_text()
        return
    raise AssertionError("the server has ended each time")
