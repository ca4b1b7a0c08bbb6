"""The process that supervises a server in the background: `python -m cocon.serving.supervision.keeper`.

    record = start_keeper(record, server, WatchSettings())

It reads its task from its standard input: the server's command holds its keys, and is to stand in no file. It ends when
the server's record goes, or names another keeper. The server does not end with it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import FrameType

from cocon.core.errors import CoconError
from cocon.core.printable import in_one_line
from cocon.serving.checking.repository_check import Scrutiny
from cocon.serving.launcher import ServerProcess
from cocon.serving.processes import ProcessIdentity
from cocon.serving.record import ServerRecord
from cocon.serving.supervision.settings import WatchSettings
from cocon.serving.supervision.supervisor import Supervisor

__all__ = ["main", "start_keeper"]


def start_keeper(record: ServerRecord, server: ServerProcess, settings: WatchSettings) -> ServerRecord:
    """Start a keeper for a server in the background whose models are READY.

    Args:
        record: Of the server.
        server: The server, as it was started.
        settings: How closely to watch it.

    Returns:
        The record with the keeper in it, as it is saved.
    """
    with record.log.with_suffix(".keeper.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cocon.serving.supervision.keeper", str(record.address.grpc_port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            text=True,
        )
    kept = replace(record, keeper=ProcessIdentity.of(process.pid))
    kept.save()
    assert process.stdin is not None
    with process.stdin:  # it waits for this, and then looks for itself in the record
        json.dump({"command": server.command, "scrutiny": server.scrutiny, "settings": asdict(settings)}, process.stdin)
    return kept


def _keep(grpc_port: int, command: Sequence[str], scrutiny: Scrutiny, settings: WatchSettings) -> None:
    record = ServerRecord.load(grpc_port)
    if record is None:
        return
    me = ProcessIdentity.of(os.getpid())
    server = ServerProcess.adopt(
        record.process,
        command,
        record.repository,
        record.address,
        log=record.log,
        timeout_s=settings.loading_timeout_s,
        scrutiny=scrutiny,
    )

    def is_mine() -> bool:
        now = ServerRecord.load(grpc_port)
        return now is not None and now.keeper == me

    def note() -> None:
        now = ServerRecord.load(grpc_port) or record  # a promotion may have changed it since
        replace(now, process=server.identity, keeper=me).save()

    Supervisor(server, settings, on_start=note).watch(while_=is_mine)


def _exit(signal_number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """Keep the server of a port until nobody needs it, or it cannot be helped."""
    signal.signal(signal.SIGTERM, _exit)
    try:
        task = json.load(sys.stdin)
        _keep(int(sys.argv[1]), task["command"], task["scrutiny"], WatchSettings(**task["settings"]))
    except CoconError as error:
        sys.exit(f"error: {in_one_line(error)}")


if __name__ == "__main__":
    main()
