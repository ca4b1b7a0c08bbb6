"""The record of a server in the background: one with other types inside is damaged, and no traceback later."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cocon.core.errors import ServerError
from cocon.embedding.server_ports import record_path
from cocon.serving.address import Address
from cocon.serving.processes import ProcessIdentity
from cocon.serving.record import ServerRecord
from cocon.serving.tls_files import TlsFiles

PORT = 8001


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerRecord:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    address = Address(grpc_port=PORT, http_port=8000, tls=TlsFiles("/a.pem", "/a.key", "a"))
    process = ProcessIdentity(1, 1)
    record = ServerRecord(process, address, tmp_path, "digest", tmp_path / "serve.log", ("--log-verbose=1",), process)
    record.save()
    return record


def test_a_record_comes_back_as_it_was(record: ServerRecord) -> None:
    assert ServerRecord.load(PORT) == record


@pytest.mark.parametrize(
    "damage",
    [
        lambda fields: fields["process"].update(pid="a"),
        lambda fields: fields["keeper"].update(start_ticks=None),
        lambda fields: fields["address"].update(grpc_port="8001"),
        lambda fields: fields["address"].update(http_port=[]),
        lambda fields: fields["address"]["tls"].update(key=1),
        lambda fields: fields.update(digest=1),
        lambda fields: fields.update(log=1),
        lambda fields: fields.update(flags=[1]),
    ],
)
def test_one_with_other_types_inside_is_damaged(record: ServerRecord, damage: Callable[[Any], object]) -> None:
    path = Path(record_path(PORT))
    fields = json.loads(path.read_text("utf-8"))
    damage(fields)
    path.write_text(json.dumps(fields), "utf-8")
    with pytest.raises(ServerError, match="is damaged; end the server with"):
        ServerRecord.load(PORT)
