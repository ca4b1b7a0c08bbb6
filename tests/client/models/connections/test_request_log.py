"""Every request has a name of its own, which client and server tell in their logs."""

import logging
from typing import Any

import numpy as np
import pytest

from cocon.client.models.channel import TritonChannel
from cocon.client.models.target import Target
from tests.client.models.conftest import serving
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
