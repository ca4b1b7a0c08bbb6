"""Every request has a name of its own, which client and server tell in their logs."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cocon.client.models.channel import TritonChannel
from cocon.client.models.server import TritonServer
from cocon.client.models.target import Target
from cocon.embedding.embedder import ENCODER
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import contract
from tests.client.models.conftest import serving, write_config
from tests.client.models.pretender import PRETENDED, Pretender


class _Listener(Pretender):
    """Remembers what requests are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def ModelInfer(self, request: Any, context: object) -> object:  # noqa: N802  # the protocol's name
        self.names.append(request.id)
        return super().ModelInfer(request, context)


def test_the_server_gets_the_names_that_the_client_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cocon.client.models.connections.request_log")
    listener = _Listener()
    with serving(listener) as url:
        channel = TritonChannel(Target.parse(url), timeout_s=30.0)
        for _ in range(3):
            channel.infer(PRETENDED, {"clip": np.zeros((2, 3), np.uint8)}, {"embedding": "embedding"})
        channel.close()
    logged = [vars(record)["cocon_fields"] for record in caplog.records]
    assert [record["request_id"] for record in logged] == listener.names
    assert len(set(listener.names)) == 3
    assert {(record["model"], record["version"], record["server"], record["outcome"]) for record in logged} == {
        ("m", "1", url, "answered")
    }


@pytest.mark.usefixtures("server")  # and so its folders: none of the user's is touched
def test_triton_tells_the_same_names(repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cocon.client.models.connections.request_log")
    served = tmp_path / "models"
    shutil.copytree(repository / "cocon_rgb", served / "cocon_rgb")
    write_config(served / "cocon_rgb", contract("rgb"), "onnxruntime")
    log = tmp_path / "serve.log"
    with (
        ServerProcess(served, Address.on_free_ports(), log=log, timeout_s=600, flags=("--log-verbose=1",)) as server,
        TritonServer(server.url) as triton,
    ):
        triton.open(ENCODER, "rgb").embed(np.zeros((1, 2, 2, 16, 16, 3), np.uint8))
    (name,) = [vars(record)["cocon_fields"]["request_id"] for record in caplog.records]
    assert f"[request id: {name}]" in log.read_text()
