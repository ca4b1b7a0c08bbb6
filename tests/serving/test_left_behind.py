"""Shared memory that looks like a server's, and is a stranger's: the server ends all the same."""

import subprocess
import sys
from pathlib import Path

from cocon.serving.address import Address
from cocon.serving.command_line import shared_memory_prefix
from cocon.serving.launcher import ServerProcess
from cocon.serving.processes import ProcessIdentity


def test_what_cannot_be_removed_keeps_nothing_else(tmp_path: Path) -> None:
    address = Address.on_free_ports()
    folder, file = (Path("/dev/shm", f"{shared_memory_prefix(address)}{name}") for name in ("a-folder", "a-file"))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        process.kill()
    folder.mkdir()
    try:
        file.touch()
        ServerProcess.adopt(identity, [], tmp_path, address, log=tmp_path / "serve.log").end()
        assert not file.exists()
    finally:
        folder.rmdir()
        file.unlink(missing_ok=True)
