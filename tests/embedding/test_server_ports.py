"""Which gRPC port belongs to another port."""

from pathlib import Path

import pytest

from cocon.embedding.server_ports import grpc_port_beside, record_path


def test_the_port_beside_is_the_recorded_or_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert (grpc_port_beside(8000, is_here=True), grpc_port_beside(8002, is_here=False)) == (8001, 8001)
    record_path(9001).parent.mkdir()
    record_path(1).write_text("no record")
    record_path(2).write_text("[]")
    record_path(9001).write_text('{"address": {"grpc_port": 9001, "http_port": 8000, "metrics_port": 9002}}')
    assert (grpc_port_beside(8000, is_here=True), grpc_port_beside(9002, is_here=True)) == (9001, 9001)
    assert (grpc_port_beside(8000, is_here=False), grpc_port_beside(9002, is_here=False)) == (8001, None)
