"""A supervisor whose server's folder takes no files: it goes on supervising, and says what it could not keep."""

import logging
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.serving.processes import ProcessIdentity
from cocon.serving.supervision.settings import WatchSettings
from cocon.serving.supervision.supervisor import Supervisor


def test_what_cannot_be_kept_ends_no_supervision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "file").write_text("no folder")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        process.kill()
    server = ServerProcess.adopt(
        identity, [], tmp_path / "no models", Address.on_free_ports(), log=tmp_path / "file" / "serve.log"
    )
    with closing(Supervisor(server, WatchSettings())) as supervisor, caplog.at_level(logging.WARNING):
        supervisor.look()
    told = [record.getMessage() for record in caplog.records]
    assert next(line for line in told if "is not kept" in line).startswith("the log of the crash")
    assert any(line.startswith("what has happened is not kept") for line in told)
    assert any("does not start again" in line for line in told)
