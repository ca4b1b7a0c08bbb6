"""What `cocon serve --detach` knows of a repository after versions were changed, and which one may be changed."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cocon.serving.address import Address
from cocon.serving.processes import ProcessIdentity
from cocon.serving.record import ServerRecord, repository_digest
from cocon.serving.rollout.cli import _alone
from tests.serving.rollout.conftest import add_versions


@pytest.fixture
def record(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerRecord:
    """Of a server that is this process, in effect."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    process, address = ProcessIdentity.of(os.getpid()), Address.on_free_ports()
    assert process is not None
    record = ServerRecord(process, address, repository.resolve(), repository_digest(repository), tmp_path / "serve.log")
    record.save()
    return record


def is_known(record: ServerRecord) -> bool:
    found = ServerRecord.load(record.address.grpc_port)
    return found is not None and found.digest == repository_digest(record.repository)


def change(repository: Path) -> None:
    path = repository / "cocon_rgb" / "config.pbtxt"
    path.write_text(path.read_text() + "\n")


def test_what_was_promoted_or_put_back_is_known_at_once(record: ServerRecord) -> None:
    with _alone(record.address.grpc_port, record.repository):
        change(record.repository)
    assert is_known(record)
    with suppress(ValueError), _alone(record.address.grpc_port, record.repository):
        change(record.repository)
        raise ValueError
    assert is_known(record)


def test_what_was_not_served_before_a_failure_is_not_after_it(record: ServerRecord) -> None:
    add_versions(record.repository, 2)
    with suppress(ValueError), _alone(record.address.grpc_port, record.repository):
        raise ValueError
    assert not is_known(record)


def test_another_repository_than_the_servers_is_refused(
    record: ServerRecord, tmp_path: Path, cli: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    add_versions(tmp_path / "others", 1)
    port = f"--grpc-port={record.address.grpc_port}"
    refused = cli("promote", "all", port, f"--repository={tmp_path / 'others'}")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "leave --repository out" in refused.stderr
